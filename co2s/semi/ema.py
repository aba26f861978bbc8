"""EMA: a teacher that is the moving average of its student."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


def ema_decay(step: int, limit: float) -> float:
    """Share of the old average at a step: min(1 - 1 / (step + 1), limit), so it starts at 0."""
    return min(1.0 - 1.0 / (step + 1), limit)


class EMA(nn.Module):
    """Averages the parameters and buffers of a module; no gradient, always in evaluation mode.

    It is a submodule like any other: saved and resumed with the model. All processes hold the same
    parameters after a step, and so the same average.
    """

    def __init__(self, module: nn.Module, limit: float = 0.996):
        super().__init__()
        self.limit = limit
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module after optimiser step number `step`, counted from 0.

        Integers (counters) are copied.
        """
        decay = ema_decay(step, self.limit)
        for own, new in zip(_tensors(self.module), _tensors(module), strict=True):
            if own.is_floating_point():
                own.lerp_(new.to(own.dtype), 1.0 - decay)
            else:
                own.copy_(new)

    def train(self, mode: bool = True) -> "EMA":
        return super().train(False)

    @torch.no_grad()
    def forward(self, *args: Any) -> Any:
        return self.module(*args)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
