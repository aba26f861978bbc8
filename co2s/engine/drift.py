"""Drift: a hook that tells what the pseudo-labels of a run amount to, and warns where they harm."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from co2s.d2 import HookBase, comm
from co2s.semi import drift_scalars, sum_over_processes

from .alarms import Alarms

logger = logging.getLogger(__name__)


class Drift(HookBase):
    """Every `period` steps and after the last: the shares of the method's tally, as scalars.

    The tally stays on its device in between, so that a step does not wait for a log line. It is
    summed over all processes, which come here at the same steps. What was counted since the last
    period is lost where a run is resumed; nothing is trained on it.
    """

    def __init__(
        self, method: Any, class_names: Sequence[str], period: int, filters: bool = True
    ) -> None:
        """filters: whether the method keeps only some of its pseudo-labels."""
        self.method, self.class_names, self.period = method, class_names, period
        self.alarms = Alarms(filters)

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if done % self.period and done != self.trainer.max_iter:
            return
        tally, self.method.tally = self.method.tally, {}
        if not tally:  # a method that makes no pseudo-labels
            return
        found = drift_scalars(summed(tally), self.class_names)
        self.trainer.storage.put_scalars(smoothing_hint=False, **found)
        if comm.is_main_process():
            for text in self.alarms.look(found, self.trainer.iter):
                logger.warning("%s", text)

    def state_dict(self) -> dict[str, Any]:
        return self.alarms.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.alarms.load_state_dict(state)


def summed(tally: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tallies of all processes together, on the CPU; one exchange."""
    parts = [value.reshape(-1) for value in tally.values()]
    total = sum_over_processes(torch.cat(parts)).cpu()
    sizes = [len(part) for part in parts]
    shapes = [value.shape for value in tally.values()]
    pieces = zip(tally, total.split(sizes), shapes, strict=True)
    return {name: piece.reshape(shape) for name, piece, shape in pieces}
