"""Queues of features, one for each class, that outlast the step: what rows are contrasted with."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .counting import sum_over_processes


class ClassQueues(nn.Module):
    """The last `size` features of each class, first in, first out.

    Saved with the model. What a step has seen joins after it, of all processes together, so that
    all of them hold the same; of a step no more than a quarter of a queue, so that it remembers
    several.
    """

    features: Tensor  # (N, size, R)
    pushed: Tensor  # (N,) int64: how many there have ever been

    def __init__(self, num_classes: int, size: int, dim: int):
        super().__init__()
        self.register_buffer("features", torch.zeros(num_classes, size, dim))
        self.register_buffer("pushed", torch.zeros(num_classes, dtype=torch.int64))
        self.waiting: list[tuple[Tensor, Tensor]] = []  # (N, K, R) and how many of K, of each part

    def anew(self) -> "ClassQueues":
        """Queues of the same size as they start, empty."""
        return ClassQueues(*self.features.shape)

    @torch.no_grad()
    def observe(self, features: Tensor, members: Tensor, generator: torch.Generator) -> None:
        """Remember features (P, R) for the classes that they are members (P, N) of.

        Of each class K are drawn, a quarter of a queue; of fewer members all, in any order.
        """
        classes, size, dim = self.features.shape
        most = max(size // 4, 1)
        taken = features.new_zeros(classes, most, dim)
        counts = members.sum(dim=0).clamp(max=most)
        for label, column in enumerate(members.unbind(1)):
            rows = column.nonzero().flatten()
            order = torch.randperm(len(rows), generator=generator)[:most].to(rows.device)
            taken[label, : len(order)] = features[rows[order]]
        self.waiting.append((taken, counts))

    @torch.no_grad()
    def update(self) -> None:
        """Let in what waits; every process has to call it, after as many calls of `observe`."""
        if not self.waiting:
            return
        taken, counts = (torch.stack(parts) for parts in zip(*self.waiting, strict=True))
        self.waiting = []
        taken, counts = _of_all_processes(taken), _of_all_processes(counts)
        most = max(self.features.shape[1] // 4 // len(taken), 1)  # of each part
        for part, numbers in zip(taken, counts.tolist(), strict=True):
            for label, number in enumerate(numbers):
                self._push(label, part[label, : min(number, most)])

    def draw(self, label: int, count: int, generator: torch.Generator) -> Tensor:
        """Features (count, R) of a class, with replacement; (0, R) while there is none."""
        filled = min(int(self.pushed[label]), self.features.shape[1])
        if not filled:
            return self.features[label, :0]
        rows = torch.randint(filled, (count,), generator=generator)
        return self.features[label, rows.to(self.features.device)]

    def _push(self, label: int, rows: Tensor) -> None:
        size = self.features.shape[1]
        places = torch.arange(len(rows), device=rows.device) + self.pushed[label]
        self.features[label, places % size] = rows
        self.pushed[label] += len(rows)


def _of_all_processes(x: Tensor) -> Tensor:
    """(parts, ...) of every process -> (processes * parts, ...), the same on all of them."""
    if not (dist.is_available() and dist.is_initialized()):
        return x
    whole = x.new_zeros(dist.get_world_size(), *x.shape)
    whole[dist.get_rank()] = x
    return sum_over_processes(whole).flatten(0, 1)
