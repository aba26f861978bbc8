"""Experiment trackers: the scalars of a run in Weights & Biases or MLflow, through one writer."""

import json
import logging
import re
from abc import abstractmethod
from pathlib import Path
from typing import Any

from co2s.d2 import CfgNode, EventWriter, get_event_storage
from co2s.files import write_json
from co2s.optional import import_extra

from .report import options
from .writers import WINDOW

logger = logging.getLogger(__name__)

IDS = "trackers.json"  # in OUTPUT_DIR: the id of the run at each tracker


class TrackerWriter(EventWriter):
    """Sends each new scalar to a tracker once; a resumed run goes on in the run it began there.

    A tracker that fails in mid-run is given up with a warning: training goes on.
    """

    name = ""

    def __init__(self, cfg: CfgNode) -> None:
        self.written = -1
        self.path = Path(cfg.OUTPUT_DIR, IDS)
        ids = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}
        ids[self.name] = self.start(cfg, ids.get(self.name))
        write_json(self.path, ids)
        self.works = True

    @abstractmethod
    def start(self, cfg: CfgNode, known: str | None) -> str:
        """Begin a run, or go on with the known one; its id."""

    @abstractmethod
    def send(self, step: int, scalars: dict[str, float]) -> None:
        """Scalars of one step."""

    @abstractmethod
    def finish(self) -> None:
        """Nothing more will come for now."""

    def write(self) -> None:
        steps: dict[int, dict[str, float]] = {}
        latest = get_event_storage().latest_with_smoothing_hint(WINDOW)
        for name, (value, step) in latest.items():
            if step > self.written:
                steps.setdefault(step, {})[name] = value
        for step in sorted(steps):
            self._try(lambda step=step: self.send(step, steps[step]))
        self.written = max(steps, default=self.written)

    def close(self) -> None:
        self._try(self.finish)

    def _try(self, what: Any) -> None:
        if not self.works:
            return
        try:
            what()
        except Exception as error:
            self.works = False
            logger.warning("%s gets nothing more of this run: %s", self.name, error)


class WandbWriter(TrackerWriter):
    """Weights & Biases. Its environment variables (WANDB_MODE, WANDB_ENTITY, ...) hold."""

    name = "wandb"

    def start(self, cfg: CfgNode, known: str | None) -> str:
        wandb = import_extra("wandb", "wandb")
        self.run = wandb.init(
            project=cfg.TRACKER_PROJECT,
            name=Path(cfg.OUTPUT_DIR).resolve().name,
            dir=cfg.OUTPUT_DIR,
            id=known,
            resume="allow" if known else None,
            config=options(cfg),
        )
        # A resumed run repeats steps, and wandb's own counter must never go back.
        self.run.define_metric("iteration")
        self.run.define_metric("*", step_metric="iteration")
        return str(self.run.id)

    def send(self, step: int, scalars: dict[str, float]) -> None:
        self.run.log({**scalars, "iteration": step})

    def finish(self) -> None:
        self.run.finish()


class MlflowWriter(TrackerWriter):
    """MLflow. Its environment variables (MLFLOW_TRACKING_URI, ...) hold."""

    name = "mlflow"

    def start(self, cfg: CfgNode, known: str | None) -> str:
        self.mlflow = import_extra("mlflow", "mlflow")
        self.mlflow.set_experiment(cfg.TRACKER_PROJECT)
        name = None if known else Path(cfg.OUTPUT_DIR).resolve().name
        run = self.mlflow.start_run(run_id=known, run_name=name)
        if known is None:  # a parameter cannot be changed afterwards
            self.mlflow.log_params({key: str(value)[:500] for key, value in options(cfg).items()})
        return str(run.info.run_id)

    def send(self, step: int, scalars: dict[str, float]) -> None:
        named = {_mlflow_name(name): value for name, value in scalars.items()}
        self.mlflow.log_metrics(named, step=step)

    def finish(self) -> None:
        self.mlflow.end_run()


def _mlflow_name(name: str) -> str:
    """The name of a scalar without what MLflow refuses in one."""
    return re.sub(r"[^\w\-. :/]", "_", name)


TRACKERS = {kind.name: kind for kind in (WandbWriter, MlflowWriter)}


def check_trackers(cfg: CfgNode) -> None:
    """Before training: ValueError for unknown names, ModuleNotFoundError for what is missing."""
    unknown = [name for name in cfg.TRACKERS if name not in TRACKERS]
    if unknown:
        raise ValueError(f"TRACKERS names {unknown}; known are {sorted(TRACKERS)}.")
    for name in cfg.TRACKERS:
        import_extra(name, name)


def tracker_writers(cfg: CfgNode) -> list[EventWriter]:
    """A writer for each of TRACKERS, its run begun or gone on with."""
    return [TRACKERS[name](cfg) for name in cfg.TRACKERS]
