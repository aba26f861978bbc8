"""Hooks of the trainer: the best checkpoint, and what a method wants logged."""

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from co2s.d2 import HookBase, comm

from .checkpoints import BEST, best_score

logger = logging.getLogger(__name__)


class EvaluateAndKeepBest(HookBase):
    """Evaluates every `period` steps and after the last, and saves the best model with its score.

    Comes after whatever saves the last checkpoint. A resumed run knows the best score from the
    best checkpoint, and first makes up an evaluation that may have been interrupted. Every process
    evaluates, the main one saves.
    """

    def __init__(
        self, period: int, evaluate: Callable[[], Any], checkpointer: Any, metric: str
    ) -> None:
        """evaluate: -> nested dict of numbers, empty on other processes; metric: "a/b" in it."""
        self.period, self.evaluate = period, evaluate
        self.checkpointer, self.metric = checkpointer, metric
        self.best: dict[str, Any] | None = None

    def before_train(self) -> None:
        start, path = self.trainer.start_iter, Path(self.checkpointer.save_dir, f"{BEST}.pth")
        if start == 0:
            if comm.is_main_process() and path.is_file():  # of another run in this folder
                path.replace(path.with_name("former_best.pth"))
            return
        if comm.is_main_process():
            self.best = best_score(str(path))
        if start % self.period == 0:
            self._go_to(start - 1)  # what is saved must say which step it was
            self._judge(start - 1)
            self._go_to(start)

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if done % self.period == 0 or done == self.trainer.max_iter:
            self._judge(self.trainer.iter)

    def after_train(self) -> None:
        del self.evaluate  # it holds the trainer

    def _go_to(self, iteration: int) -> None:
        self.trainer.iter = self.trainer.storage.iter = iteration

    def _judge(self, iteration: int) -> None:
        """Evaluate the model as it is after a step, and save it where it is the best so far."""
        numbers = flat(self.evaluate() or {})
        if numbers:
            self.trainer.storage.put_scalars(smoothing_hint=False, **numbers)
            self._keep(numbers[self.metric], iteration)
        comm.synchronize()  # the next step starts on all processes together

    def _keep(self, value: float, iteration: int) -> None:
        shown = f"{self.metric} {value:.5f} after step {iteration}"
        if not math.isfinite(value):
            logger.warning("Not the best model: %s is no number.", shown)
        elif self.best is None or value > self.best["value"]:
            logger.info("The best model so far: %s", shown)
            self.best = {"metric": self.metric, "value": value, "iteration": iteration}
            self.checkpointer.save(BEST, iteration=iteration, score=self.best)
        else:
            logger.info("Not the best model: %s; that is %s", shown, self.best)


class MethodScalars(HookBase):
    """Logs the mean of the method's scalars over every `period` steps.

    They stay on their device in between: a step does not wait for a log line.
    """

    def __init__(self, method: Any, period: int) -> None:
        self.method, self.period = method, period
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def after_step(self) -> None:
        for name, value in self.method.scalars.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach()
        self.steps += 1
        done = self.trainer.iter + 1
        if done % self.period == 0 or done == self.trainer.max_iter:
            means = {name: (total / self.steps).item() for name, total in self.sums.items()}
            self.trainer.storage.put_scalars(smoothing_hint=False, **means)
            self.sums, self.steps = {}, 0


def flat(results: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """{"a/b": 1.0} of {"a": {"b": 1}}"""
    numbers: dict[str, float] = {}
    for name, value in results.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{prefix}{name}/")
        else:
            numbers[f"{prefix}{name}"] = float(value)
    return numbers
