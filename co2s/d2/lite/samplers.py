"""Which item comes when: an endless shuffled stream for training, each item once for inference."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Sampler

from . import comm


class TrainingSampler(Sampler):
    """Endless stream of indices: one permutation of `range(size)` after another.

    All processes draw the same stream from `seed` and each takes every world-size-th index of it.
    A seed of None is drawn once and shared between the processes.
    """

    def __init__(self, size: int, shuffle: bool = True, seed: int | None = None) -> None:
        if not isinstance(size, int):
            raise TypeError(f"TrainingSampler needs an int as size, got {type(size).__name__}.")
        if size <= 0:
            raise ValueError(
                f"TrainingSampler needs a positive size, got {size}: is the dataset empty?"
            )
        self._size = size
        self._shuffle = shuffle
        self._seed = int(comm.shared_random_seed() if seed is None else seed)
        self._rank = comm.get_rank()
        self._world_size = comm.get_world_size()

    def __iter__(self) -> Iterator[int]:
        return itertools.islice(self._stream(), self._rank, None, self._world_size)

    def _stream(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed)
        while True:
            if self._shuffle:
                yield from torch.randperm(self._size, generator=generator).tolist()
            else:
                yield from range(self._size)


class InferenceSampler(Sampler):
    """Each index exactly once over all processes, in contiguous shares differing by at most one."""

    def __init__(self, size: int) -> None:
        assert size > 0, f"InferenceSampler needs a positive size, got {size}."
        share, rest = divmod(size, comm.get_world_size())
        rank = comm.get_rank()
        begin = rank * share + min(rank, rest)
        self._local_indices = range(begin, begin + share + (rank < rest))

    def __iter__(self) -> Iterator[int]:
        return iter(self._local_indices)

    def __len__(self) -> int:
        return len(self._local_indices)


def trivial_batch_collator(batch: Any) -> Any:
    """The batch as it is: a list of items."""
    return batch
