"""Hooks that save checkpoints: regularly, and the best one."""

from __future__ import annotations

import math
import operator

from fvcore.common.checkpoint import Checkpointer
from fvcore.common.checkpoint import PeriodicCheckpointer as _PeriodicCheckpointer

from ..logger import get_logger
from ..train_loop import HookBase


class PeriodicCheckpointer(_PeriodicCheckpointer, HookBase):
    """Saves every `period` iterations (model_0004999) and after the last (model_final)."""

    def before_train(self) -> None:
        self.max_iter = self.trainer.max_iter

    def after_step(self) -> None:
        self.step(self.trainer.iter)


class BestCheckpointer(HookBase):
    """Saves `file_prefix` whenever the stored metric `val_metric` is better than ever before.

    Comes after the EvalHook of the same period. `mode` says whether "max" or "min" is better.
    """

    def __init__(
        self,
        eval_period: int,
        checkpointer: Checkpointer,
        val_metric: str,
        mode: str = "max",
        file_prefix: str = "model_best",
    ) -> None:
        assert mode in ("max", "min"), f"BestCheckpointer's mode is 'max' or 'min', got '{mode}'."
        self._logger = get_logger("engine.hooks")
        self._period = eval_period
        self._checkpointer = checkpointer
        self._val_metric = val_metric
        self._better = operator.gt if mode == "max" else operator.lt
        self._file_prefix = file_prefix
        self.best_metric: float | None = None
        self.best_iter: int | None = None

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if self._period > 0 and done % self._period == 0 and done != self.trainer.max_iter:
            self._check()

    def after_train(self) -> None:
        if self.trainer.iter + 1 >= self.trainer.max_iter:
            self._check()

    def _check(self) -> None:
        latest = self.trainer.storage.latest().get(self._val_metric)
        if latest is None:
            self._logger.warning(
                f"No best checkpoint: the metric '{self._val_metric}' was not stored. "
                "Check its name against the evaluation results."
            )
            return
        value, iteration = latest
        shown = f"{self._val_metric} {value:.5f} @ iteration {iteration}"
        if not math.isfinite(value):
            self._logger.info(f"Not saving the best model: {shown} is no number.")
        elif self.best_metric is None or self._better(value, self.best_metric):
            self._logger.info(f"Saving the best model so far: {shown}")
            self._checkpointer.save(self._file_prefix, iteration=iteration)
            self.best_metric, self.best_iter = value, iteration
        else:
            self._logger.info(
                f"Not saving the best model: {shown} is not better than "
                f"{self.best_metric:.5f} @ iteration {self.best_iter}"
            )
