"""Streams: endless draws of training items, the same for any number of workers and processes.

Draw number d of a stream has its own random generator, seeded by (seed, stream, d). Of W
processes, process r makes the draws r, r + W, r + 2 W, ...: together the same items per step.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from torch.utils.data import Dataset, Sampler

from co2s.d2 import TrainingSampler, comm
from co2s.structures import LabeledItem, UnlabeledItem

from .failures import item_or_other
from .mapper import LabeledMapper, UnlabeledMapper
from .records import Record

Draw = tuple[int, int]  # position of a record, number of the draw
LABELED, UNLABELED = 0, 1  # numbers of the streams


class DrawSampler(Sampler):
    """detectron2's endless shuffle, with the number of every draw."""

    def __init__(self, size: int, seed: int, stream: int, start: int = 0) -> None:
        """stream: its number; start: draws this process has made before, for an exact resume."""
        # Of (seed, stream): two pools of one size must not be walked in step.
        mixed = np.random.SeedSequence((seed, stream)).generate_state(1)[0]
        self.indices = TrainingSampler(size, shuffle=True, seed=int(mixed))
        self.start = start

    def __iter__(self) -> Iterator[Draw]:
        rank, world = comm.get_rank(), comm.get_world_size()
        for number, index in enumerate(islice(iter(self.indices), self.start, None), self.start):
            yield index, rank + number * world


class LabeledDraws(Dataset):
    """Draws of labelled items."""

    stream = LABELED
    max_bad = 0  # files that a draw may do without

    def __init__(self, records: Sequence[Record], mapper: LabeledMapper, seed: int) -> None:
        self.records = records
        self.mapper = mapper
        self.seed = seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, draw: Draw) -> LabeledItem:
        index, number = draw
        seed = (self.seed, self.stream, number)
        return item_or_other(self._make, index, seed, self.records, self.max_bad)

    def _make(self, index: int, rng: np.random.Generator) -> LabeledItem:
        return self.mapper(self.records[index], rng)


class UnlabeledDraws(Dataset):
    """Draws of unlabelled items, each with the CutMix partner that the mapper's views ask for.

    ValueError where that is another record and there is none.
    """

    stream = UNLABELED
    max_bad = 0

    def __init__(self, records: Sequence[Record], mapper: UnlabeledMapper, seed: int) -> None:
        if mapper.views.cutmix and mapper.views.partner == "other" and len(records) < 2:
            raise ValueError(
                "CutMix needs a partner image, but the unlabelled pool holds only "
                f"{records[0]['file_name']}. Add unlabelled images."
            )
        self.records = records
        self.mapper = mapper
        self.seed = seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, draw: Draw) -> UnlabeledItem:
        index, number = draw
        seed = (self.seed, self.stream, number)
        return item_or_other(self._make, index, seed, self.records, self.max_bad)

    def _make(self, index: int, rng: np.random.Generator) -> UnlabeledItem:
        other = index
        if self.mapper.views.partner == "other" and len(self.records) > 1:
            other = int(rng.integers(len(self.records) - 1))
            other += other >= index
        pair = self.records[index], self.records[other]
        return self.mapper(*pair, rng)
