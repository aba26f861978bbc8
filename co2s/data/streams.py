"""Streams: endless draws of training items, the same for any number of workers and processes.

Draw number d of a stream has its own random generator, seeded by (seed, stream, d). Of W
processes, process r makes the draws r, r + W, r + 2 W, ...: together the same items per step.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from torch.utils.data import Dataset, Sampler

from co2s.d2 import TrainingSampler, comm

from .mapper import Item, LabeledMapper, UnlabeledMapper
from .records import Record

Draw = tuple[int, int]  # position of a record, number of the draw
LABELED, UNLABELED = 0, 1  # numbers of the streams


class DrawSampler(Sampler):
    """detectron2's endless shuffle, with the number of every draw."""

    def __init__(self, size: int, seed: int, start: int = 0) -> None:
        """start: draws this process has made before, for an exact resume."""
        self.indices = TrainingSampler(size, shuffle=True, seed=seed)
        self.start = start

    def __iter__(self) -> Iterator[Draw]:
        rank, world = comm.get_rank(), comm.get_world_size()
        for number, index in enumerate(islice(iter(self.indices), self.start, None), self.start):
            yield index, rank + number * world


class LabeledDraws(Dataset):
    """Draws of labelled items."""

    def __init__(self, records: Sequence[Record], mapper: LabeledMapper, seed: int) -> None:
        self.records = records
        self.mapper = mapper
        self.seed = seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, draw: Draw) -> Item:
        index, number = draw
        rng = np.random.default_rng((self.seed, LABELED, number))
        return self.mapper(self.records[index], rng)


class UnlabeledDraws(Dataset):
    """Draws of unlabelled items, each with a CutMix partner.

    partner "other": another record; "same": the record itself, in another crop, as in the authors'
    release. ValueError where there is no other.
    """

    def __init__(
        self,
        records: Sequence[Record],
        mapper: UnlabeledMapper,
        seed: int,
        partner: str = "other",
    ) -> None:
        if partner not in ("other", "same"):
            raise ValueError(
                f'DATALOADER.CUTMIX_PARTNER must be "other" or "same", found "{partner}".'
            )
        if partner == "other" and len(records) < 2:
            raise ValueError(
                "CutMix needs a partner image, but the unlabelled pool holds only "
                f"{records[0]['file_name']}. Add unlabelled images."
            )
        self.records = records
        self.mapper = mapper
        self.seed = seed
        self.partner = partner

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, draw: Draw) -> Item:
        index, number = draw
        rng = np.random.default_rng((self.seed, UNLABELED, number))
        other = index
        if self.partner == "other":
            other = int(rng.integers(len(self.records) - 1))
            other += other >= index
        return self.mapper(self.records[index], self.records[other], rng)
