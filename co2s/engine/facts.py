"""facts.json: on what machine and on which data a run was made, when, and what it took.

Beside report.json, which is the same for a run that was cut and one that was not.
"""

import importlib
import json
import logging
import os
import platform
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import nn

import co2s
from co2s import d2
from co2s.d2 import CfgNode, DatasetCatalog, HookBase, MetadataCatalog, comm
from co2s.files import write_json

FACTS = "facts.json"
PERIOD = 60  # seconds between two writings: a killed run loses no more of its time

logger = logging.getLogger(__name__)


class RunFacts(HookBase):
    """Writes `<OUTPUT_DIR>/facts.json` while a run trains; for the main process.

    A resumed run adds a session: its wall time is the sum of all of them.
    """

    def __init__(self, cfg: CfgNode, model: nn.Module) -> None:
        self.path = Path(cfg.OUTPUT_DIR) / FACTS
        self.facts = _known(cfg, model)
        self.sessions: list[dict[str, Any]] = []
        self.peak: dict[str, int] = {}

    def before_train(self) -> None:
        start = self.trainer.start_iter
        before = read_facts(self.path) if start else {}
        self.sessions = before.get("sessions", [])
        self.peak = before.get("peak_memory", {})
        self.begun = self.written = time.perf_counter()
        self.sessions.append({"started": now(), "first_step": start})
        self._write()

    def after_step(self) -> None:
        if time.perf_counter() - self.written > PERIOD:
            self._write()

    def after_train(self) -> None:
        if self.sessions:  # it began
            self._write()

    def _write(self) -> None:
        self.written = time.perf_counter()
        steps = getattr(self.trainer, "iter", self.trainer.start_iter)
        self.sessions[-1] |= {
            "ended": now(),
            "last_step": steps,
            "seconds": round(self.written - self.begun, 1),
        }
        found = _peak_memory()
        self.peak = {key: max(value, self.peak.get(key, 0)) for key, value in found.items()}
        content = {**self.facts, "sessions": self.sessions, "peak_memory": self.peak}
        try:
            write_json(self.path, content)
        except OSError as error:  # facts must not cost the run
            logger.warning("%s could not be written: %s", self.path, error)


def write_facts(cfg: CfgNode, model: nn.Module, started: str, seconds: float) -> None:
    """Write `<OUTPUT_DIR>/facts.json` of what was made in one go, without steps.

    started: `now()` then; seconds: what it took.
    """
    session = {"started": started, "ended": now(), "first_step": 0, "last_step": 0}
    content = {
        **_known(cfg, model),
        "sessions": [{**session, "seconds": round(seconds, 1)}],
        "peak_memory": _peak_memory(),
    }
    write_json(Path(cfg.OUTPUT_DIR) / FACTS, content)


def wall_seconds(folder: Path) -> float | None:
    """What the run in a folder took, all its sessions together; None where that is not known."""
    sessions = read_facts(folder / FACTS).get("sessions", [])
    found = [session["seconds"] for session in sessions if "seconds" in session]
    return sum(found) if found else None


def read_facts(path: Path) -> dict[str, Any]:
    """What a facts.json says; nothing where there is none or it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _known(cfg: CfgNode, model: nn.Module) -> dict[str, Any]:
    """What does not change while a run is made."""
    return {**_software(), **_machine(cfg), **_data(cfg), "students": _students(model)}


def _software() -> dict[str, Any]:
    return {
        "co2s": co2s.__version__,
        "detectron2": d2.ACTIVE,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def _machine(cfg: CfgNode) -> dict[str, Any]:
    on_gpu = cfg.MODEL.DEVICE.startswith("cuda") and torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {_cpu_name()}",
        "cpu_cores": os.cpu_count(),
        "system": platform.system(),
        "processes": comm.get_world_size(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(x.partition(":")[2].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _data(cfg: CfgNode) -> dict[str, Any]:
    """How many images each name holds, by role, and the classes with their colours."""
    roles = ("LABELED", "UNLABELED", "VAL", "TEST")
    data = cfg.DATASETS
    metadata = MetadataCatalog.get((*data.LABELED, *data.TEST, *data.UNLABELED)[0])
    return {
        "data": {
            role.lower(): {name: len(DatasetCatalog.get(name)) for name in cfg.DATASETS[role]}
            for role in roles
        },
        "classes": list(metadata.stuff_classes),
        "colors": [list(color) for color in metadata.stuff_colors],
    }


def _students(model: nn.Module) -> dict[str, dict[str, int]]:
    """Parameters of each student, all of them and those that are trained."""
    return {
        name: {
            "parameters": sum(p.numel() for p in student.parameters()),
            "trained": sum(p.numel() for p in student.parameters() if p.requires_grad),
        }
        for name, student in getattr(model, "students", {"model": model}).items()
    }


def _peak_memory() -> dict[str, int]:
    """The most that this process has held until now, in MiB: of main memory, and of the GPU's."""
    peak = {}
    if os.name == "posix":
        usage = importlib.import_module("resource")  # Windows has none
        unit = 2**20 if sys.platform == "darwin" else 2**10
        peak["main"] = usage.getrusage(usage.RUSAGE_SELF).ru_maxrss // unit
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_allocated() // 2**20
    return peak


def now() -> str:
    """The time in UTC, as facts.json has it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
