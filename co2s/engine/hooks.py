"""The hook that keeps the best checkpoint."""

import logging
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from co2s.d2 import HookBase, comm

from .checkpoints import BEST, best_score

logger = logging.getLogger(__name__)


class EnoughEvaluations(BaseException):
    """Ends training early. No Exception: those are logged as failures by every trainer."""


def is_complete(trainer: Any) -> bool:
    """Whether a training that ends made all its steps, or as many as were enough.

    For `after_train`, which is called while whatever ended the training is on its way.
    """
    return trainer.iter >= trainer.max_iter or isinstance(sys.exc_info()[1], EnoughEvaluations)


class EvaluateAndKeepBest(HookBase):
    """Evaluates every `period` steps and after the last, and saves the best model with its score.

    Comes after whatever saves the last checkpoint. A resumed run knows the best score from the
    best checkpoint, and first makes up an evaluation that may have been interrupted. Every process
    evaluates, the main one saves. With a `patience`, EnoughEvaluations is raised on all processes
    after that many evaluations in a row without a better score: nothing but the step and the best
    checkpoint says how many they are, so that a resumed run counts the same.
    """

    def __init__(
        self,
        period: int,
        evaluate: Callable[[], Any],
        checkpointer: Any,
        metric: str,
        patience: int = 0,
    ) -> None:
        """evaluate: -> nested dict of numbers, empty on other processes; metric: "a/b" in it.

        patience: evaluations; 0 for no early end. ValueError for less.
        """
        if patience < 0:
            raise ValueError(f"TEST.EARLY_STOPPING is {patience}: give evaluations, 0 for never.")
        self.period, self.evaluate = period, evaluate
        self.checkpointer, self.metric = checkpointer, metric
        self.patience = patience
        self.best: dict[str, Any] | None = None

    def before_train(self) -> None:
        start = self.trainer.start_iter
        if start == 0:
            return
        if comm.is_main_process():
            self.best = best_score(str(Path(self.checkpointer.save_dir, f"{BEST}.pth")))
        if start % self.period == 0 or start == self.trainer.max_iter:
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
        # The main process alone knows; all start the next step together.
        if comm.all_gather(self.is_enough(iteration + 1))[0]:
            logger.info(
                "No better %s in %d evaluations: training ends after step %d, the best is %s.",
                self.metric,
                self.patience,
                iteration + 1,
                self.best,
            )
            raise EnoughEvaluations

    def is_enough(self, done: int) -> bool:
        """Whether the evaluations up to that many steps end the run early."""
        best = self.best["iteration"] + 1 if self.best else 0
        return 0 < self.patience <= (done - best) // self.period

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


def flat(results: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """{"a/b": 1.0} of {"a": {"b": 1}}"""
    numbers: dict[str, float] = {}
    for name, value in results.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{prefix}{name}/")
        else:
            numbers[f"{prefix}{name}"] = float(value)
    return numbers
