"""Translators: what a frozen teacher would see, told from a student's map, and used by it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Translators(nn.Module):
    """A map f (B, C, h, w) -> kept f + added sum_i back_i(t_i(f)), and all t_i(f) (B, D_i, h, w).

    Of each position alone: t_i is linear, ReLU, linear to the channels of teacher i, back_i linear.
    The latter start at zero: a student starts with its own map. (RS-MTDF, arXiv 2506.08772.)
    """

    def __init__(
        self,
        channels: int,
        dims: Sequence[int],
        hidden: int = 1024,
        kept: float = 0.8,
        added: float = 0.1,
    ):
        """dims: channels D_i of each teacher's map."""
        super().__init__()
        self.kept, self.added = kept, added
        tell = nn.ModuleList(_mlp(channels, hidden, dim) for dim in dims)
        back = nn.ModuleList(nn.Conv2d(dim, channels, 1) for dim in dims)
        for parameter in back.parameters():
            nn.init.zeros_(parameter)
        # Under the part of a name by which it is trained as a head is.
        self.head = nn.ModuleDict({"tell": tell, "back": back})

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        parts: Any = self.head
        told = [tell(x) for tell in parts["tell"]]
        used = [back(t) for back, t in zip(parts["back"], told, strict=True)]
        return self.kept * x + self.added * torch.stack(used).sum(dim=0), told


def _mlp(channels: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, out, 1))
