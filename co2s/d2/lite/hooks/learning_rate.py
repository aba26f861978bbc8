"""The hook that steps the learning rate."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fvcore.common.param_scheduler import ParamScheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler as _TorchScheduler

from ..logger import get_logger
from ..train_loop import HookBase


class LRMultiplier(_TorchScheduler):
    """Each group's initial rate times a function of the progress `iteration / max_iter`."""

    def __init__(
        self, optimizer: Optimizer, multiplier: ParamScheduler, max_iter: int, last_iter: int = -1
    ) -> None:
        if not isinstance(multiplier, ParamScheduler):
            raise ValueError(
                f"LRMultiplier needs a fvcore ParamScheduler, got {type(multiplier).__name__}."
            )
        self._multiplier = multiplier
        self._max_iter = max_iter
        super().__init__(optimizer, last_epoch=last_iter)

    def state_dict(self) -> dict[str, Any]:
        # The multiplier has no state; the rest is torch's.
        return {"base_lrs": self.base_lrs, "last_epoch": self.last_epoch}

    def get_lr(self) -> list[Any]:
        factor = self._multiplier(self.last_epoch / self._max_iter)
        return [rate * factor for rate in self.base_lrs]


class LRScheduler(HookBase):
    """Stores the learning rate as "lr" and steps the scheduler after each iteration.

    `scheduler` is torch's, or fvcore's ParamScheduler, which multiplies the initial rates. Either
    argument left out is the trainer's.
    """

    def __init__(self, optimizer: Optimizer | None = None, scheduler: Any = None) -> None:
        self._optimizer = optimizer
        self._scheduler = scheduler

    @property
    def scheduler(self) -> Any:
        return self._scheduler or self.trainer.scheduler

    def before_train(self) -> None:
        self._optimizer = self._optimizer or self.trainer.optimizer
        if isinstance(self.scheduler, ParamScheduler):
            self._scheduler = LRMultiplier(
                self._optimizer, self.scheduler, self.trainer.max_iter, self.trainer.iter - 1
            )
        self._best_param_group_id = self.get_best_param_group_id(self._optimizer)

    @staticmethod
    def get_best_param_group_id(optimizer: Optimizer) -> int:
        """The group whose rate is shown: most parameters, or the commonest rate if all have one."""
        groups = optimizer.param_groups
        largest = max(len(group["params"]) for group in groups)
        if largest > 1:
            return [len(group["params"]) for group in groups].index(largest)
        rates = [group["lr"] for group in groups]
        return rates.index(Counter(rates).most_common(1)[0][0])

    def after_step(self) -> None:
        rate = self._optimizer.param_groups[self._best_param_group_id]["lr"]  # type: ignore[union-attr]
        self.trainer.storage.put_scalar("lr", rate, smoothing_hint=False)
        self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict() if isinstance(self.scheduler, _TorchScheduler) else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if isinstance(self.scheduler, _TorchScheduler):
            get_logger("engine.hooks").info("Loading scheduler from state_dict ...")
            self.scheduler.load_state_dict(state_dict)
