"""Hooks that write the scalars of a run, the same lines whether or not it was interrupted."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fvcore.common.history_buffer import HistoryBuffer

from co2s.d2 import EventWriter, HookBase, comm

from .hooks import is_complete

# Steps, over which detectron2's writers show a median by default.
WINDOW = 20
KEPT = 1000  # values; the time that is left is told from so many


class RecentScalars(HookBase):
    """Keeps the last `WINDOW` steps' scalars in the checkpoint.

    Writers show the median over a window: without those, the first lines of a resumed run would
    differ from what the whole run would have written. Comes before what saves. Of each scalar the
    last `KEPT` values stay in memory: detectron2 keeps a million, 0.2 GB of them in 100,000 steps.
    """

    def __init__(self) -> None:
        self.loaded: dict[str, dict[str, Any]] = {}

    def before_train(self) -> None:
        storage = self.trainer.storage
        storage.histories().default_factory = functools.partial(HistoryBuffer, KEPT)
        for name, scalar in self.loaded.items():
            for value, step in zip(scalar["values"], scalar["steps"], strict=True):
                storage.put_scalar(name, value, smoothing_hint=scalar["smooth"], cur_iter=step)
        self.loaded = {}

    def state_dict(self) -> dict[str, Any]:
        """{name: {"values", "steps", "smooth"}}; empty outside of training."""
        storage = getattr(self.trainer, "storage", None)
        if storage is None:
            return {}
        hints, oldest = storage.smoothing_hints(), self.trainer.iter - WINDOW
        state = {}
        for name, history in storage.histories().items():
            recent = [
                (float(value), int(step)) for value, step in history.values() if step > oldest
            ]
            if recent:
                values, steps = map(list, zip(*recent, strict=True))
                state[name] = {"values": values, "steps": steps, "smooth": bool(hints[name])}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loaded = state


class WriteScalars(HookBase):
    """Lets the writers of the main process write every `period` steps and at the end.

    The last of the hooks. A run that is interrupted writes no line of its own for that: the
    resumed one writes all that the whole run would have.
    """

    def __init__(self, make: Callable[[], Sequence[EventWriter]], period: int) -> None:
        """make: opens the writers, at the start of training."""
        self.make, self.period = make, period
        self.writers: Sequence[EventWriter] = ()

    def before_train(self) -> None:
        self.writers = self.make()
        start = self.trainer.start_iter
        if start and start % self.period == 0:  # killed between saving and writing
            self.trainer.storage.iter = start - 1
            self._write()
            self.trainer.storage.iter = start

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if done % self.period == 0 or done == self.trainer.max_iter:
            self._write()

    def after_train(self) -> None:
        if is_complete(self.trainer):
            self._write()
        for writer in self.writers:
            writer.close()

    def _write(self) -> None:
        for writer in self.writers:
            writer.write()


def cut_unfinished_line(path: Path) -> None:
    """Take off what a killed run has left of a line: the next one would be appended to it."""
    if not comm.is_main_process() or not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            file.truncate(end)
            os.fsync(file.fileno())
