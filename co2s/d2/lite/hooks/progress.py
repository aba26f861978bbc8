"""Hooks that measure and write the progress of training."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence

from fvcore.common.timer import Timer

from ..logger import get_logger
from ..train_loop import HookBase
from ..writers import EventWriter


class IterationTimer(HookBase):
    """Stores the seconds of each step as "time" and logs a summary at the end.

    The first of the hooks, so that the others' before_step stays out of the measure. The first
    `warmup_iter` steps are not counted.
    """

    def __init__(self, warmup_iter: int = 3) -> None:
        self._warmup_iter = warmup_iter
        self._step_timer = Timer()
        self._total_timer = Timer()
        self._start_time = time.perf_counter()

    def before_train(self) -> None:
        self._start_time = time.perf_counter()
        self._total_timer.reset()
        self._total_timer.pause()

    def before_step(self) -> None:
        self._step_timer.reset()
        self._total_timer.resume()

    def after_step(self) -> None:
        done = self.trainer.storage.iter + 1 - self.trainer.start_iter
        if done >= self._warmup_iter:
            self.trainer.storage.put_scalars(time=self._step_timer.seconds())
        else:
            self._start_time = time.perf_counter()
            self._total_timer.reset()
        self._total_timer.pause()

    def after_train(self) -> None:
        logger = get_logger("engine.hooks")
        total = time.perf_counter() - self._start_time
        steps = self._total_timer.seconds()
        count = self.trainer.storage.iter + 1 - self.trainer.start_iter - self._warmup_iter
        if count > 0 and steps > 0:
            logger.info(
                f"Overall training speed: {count} iterations in {_clock(steps)} "
                f"({steps / count:.4f} s / it)"
            )
        logger.info(f"Total training time: {_clock(total)} ({_clock(total - steps)} on hooks)")


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=int(seconds)))


class PeriodicWriter(HookBase):
    """Lets writers write every `period` iterations and after the last; closes them at the end."""

    def __init__(self, writers: Sequence[EventWriter], period: int = 20) -> None:
        for writer in writers:
            assert isinstance(writer, EventWriter), (
                f"A writer must be an EventWriter, got {type(writer).__name__}."
            )
        self._writers = writers
        self._period = period

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if done % self._period == 0 or done == self.trainer.max_iter:
            for writer in self._writers:
                writer.write()

    def after_train(self) -> None:
        for writer in self._writers:
            # Once more: other hooks' after_train may have stored something.
            writer.write()
            writer.close()
