"""How long what is left will take: from finished cells of the same kind, else a few steps."""

import heapq
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from co2s.d2 import CfgNode
from co2s.files import write_text

from ..checkpoints import newest_whole, numbered
from ..facts import wall_seconds
from ..report import REPORT
from ..reported import CONFIG
from .cells import Cell
from .jobs import Job
from .lock import is_held

DONE, RUNNING, CUT, OPEN = "done", "running", "cut", "to do"


@dataclass(frozen=True)
class Time:
    """What a whole cell takes, in seconds, and how that is known; None where it is not."""

    seconds: float | None
    source: str


Measure = Callable[[Cell], Time]


def state_of(job: Job) -> str:
    if is_held(job.folder):
        return RUNNING
    if job.is_done():
        return DONE
    return CUT if steps_made(job) else OPEN


def steps_made(job: Job) -> int:
    """Steps that are saved; 0 for what cannot be resumed."""
    if not job.resumable or not newest_whole(job.folder):
        return 0
    return max((step + 1 for step in numbered(Path(job.folder))), default=0)


def times_of(cells: Sequence[Cell], measure: Measure) -> dict[str, Time]:
    """What a cell of each row takes; measured where something of the row is left and nothing done.

    cells: of one group.
    """
    found = {}
    for title in dict.fromkeys(cell.entry.title for cell in cells):
        own = [cell for cell in cells if cell.entry.title == title]
        through = [cell for cell in own if cell.job.is_done()]
        known = [wall_seconds(Path(cell.job.folder)) for cell in through]
        seconds = [value for value in known if value is not None]
        if len(through) == len(own) and not seconds:
            found[title] = Time(None, "")
        elif seconds:
            found[title] = Time(mean(seconds), f"{len(seconds)} done")
        else:
            found[title] = measure(own[0])
    return found


def left_of(cell: Cell, whole: float) -> float:
    """Seconds that are left of a cell: what is saved is not made again."""
    if cell.job.is_done():
        return 0.0
    return whole * (1 - steps_made(cell.job) / max(cell.cfg.SOLVER.MAX_ITER, 1))


def makespan(seconds: Sequence[float], slots: int) -> float:
    """When the last one ends, where each begins on the slot that is free first."""
    ends = [0.0] * max(slots, 1)
    for value in seconds:
        heapq.heapreplace(ends, ends[0] + value)
    return max(ends)


def measured(cell: Cell, environment: Mapping[str, str]) -> Time:
    """Time a few steps of a cell in a process of its own, into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        _, _, *arguments = cell.job.command  # without python and the script
        found = _asked([*arguments, "OUTPUT_DIR", folder], environment)
    if isinstance(found, str):
        return Time(None, f"not measured: {found}")
    seconds = found["steps"] * found["step"] + found["evaluations"] * found["evaluation"]
    return Time(seconds, f"measured: {found['step']:.2f} s a step")


def floors_left(cfgs: Sequence[CfgNode], environment: Mapping[str, str]) -> Time:
    """What those of some floors take that are not through; a few images of each are timed."""
    total = 0.0
    for cfg in (cfg for cfg in cfgs if not Path(cfg.OUTPUT_DIR, REPORT).is_file()):
        with tempfile.TemporaryDirectory() as folder:
            write_text(Path(folder) / CONFIG, cfg.dump())
            found = _asked([folder], environment)
        if isinstance(found, str):
            return Time(None, f"not measured: {found}")
        total += found["images"] * found["image"]
    return Time(total, "a few images measured")


def _asked(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, float] | str:
    """What the process that measures has found; a line that says why where it has not."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "measured.json")
        done = subprocess.run(
            [sys.executable, "-m", "co2s.engine.runner.measure", str(file), *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        if done.returncode or not file.is_file():
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            return lines[-1]
        return json.loads(file.read_text(encoding="utf-8"))
