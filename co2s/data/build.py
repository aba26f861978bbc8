"""Builds the loaders: labelled and unlabelled streams for training, whole sets for evaluation."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from co2s.d2 import CfgNode, InferenceSampler, comm, trivial_batch_collator

from .catalog import get_records, get_spec, set_root
from .mapper import EvalMapper, Item, LabeledMapper, UnlabeledMapper
from .records import Record
from .streams import DrawSampler, LabeledDraws, UnlabeledDraws

Batch = dict[str, list[Item]]


class PairedStreams:
    """Endless batches {"labeled": [...], "unlabeled": [...]} from the two streams."""

    def __init__(self, labeled: Iterable[list[Item]], unlabeled: Iterable[list[Item]] | None):
        """unlabeled None: every batch has an empty list of unlabelled items."""
        self.labeled = labeled
        self.unlabeled = unlabeled

    def __iter__(self) -> Iterator[Batch]:
        if self.unlabeled is None:
            for labeled in self.labeled:
                yield {"labeled": labeled, "unlabeled": []}
            return
        for labeled, unlabeled in zip(self.labeled, self.unlabeled, strict=True):
            yield {"labeled": labeled, "unlabeled": unlabeled}


def build_train_loader(cfg: CfgNode, start_iter: int = 0) -> PairedStreams:
    """The paired streams from step `start_iter` on, exactly as if the steps before had been made.

    Without DATASETS.UNLABELED the unlabelled half is empty.
    """
    seed = _seed(cfg)
    labeled = build_labeled_loader(cfg, start_iter, seed)
    unlabeled = None
    if cfg.DATASETS.UNLABELED:
        unlabeled = build_unlabeled_loader(cfg, start_iter, seed)
    return PairedStreams(labeled, unlabeled)


def build_labeled_loader(cfg: CfgNode, start_iter: int = 0, seed: int | None = None) -> DataLoader:
    """Endless batches of labelled items; SOLVER.IMS_PER_BATCH of them over all processes."""
    seed = _seed(cfg) if seed is None else seed
    names = cfg.DATASETS.LABELED
    records = _records(cfg, names, "DATASETS.LABELED")
    dataset = LabeledDraws(records, LabeledMapper(cfg, names), seed)
    return _endless(cfg, dataset, seed, start_iter)


def build_unlabeled_loader(
    cfg: CfgNode, start_iter: int = 0, seed: int | None = None
) -> DataLoader:
    """Endless batches of unlabelled items; SOLVER.IMS_PER_BATCH of them over all processes."""
    seed = _seed(cfg) if seed is None else seed
    records = _records(cfg, cfg.DATASETS.UNLABELED, "DATASETS.UNLABELED")
    partner = cfg.DATALOADER.CUTMIX_PARTNER
    dataset = UnlabeledDraws(records, UnlabeledMapper(cfg, cfg.DATASETS.UNLABELED), seed, partner)
    return _endless(cfg, dataset, seed, start_iter)


def build_test_loader(cfg: CfgNode, name: str) -> DataLoader:
    """Every image of a registered name exactly once, shared out over the processes."""
    records = _records(cfg, [name], "DATASETS.TEST")
    mapper = EvalMapper(cfg, [name])
    return DataLoader(
        MappedRecords(records, mapper),
        batch_size=1,
        sampler=InferenceSampler(len(records)),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=trivial_batch_collator,
        worker_init_fn=_one_thread,
        generator=torch.Generator(),
    )


class MappedRecords(Dataset):
    """Records seen through an EvalMapper."""

    def __init__(self, records: Sequence[Record], mapper: EvalMapper) -> None:
        self.records = records
        self.mapper = mapper

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Item:
        return self.mapper(self.records[index])


def iterations_per_epoch(cfg: CfgNode) -> int:
    """Steps that walk the unlabelled pool once (the labelled one where there is no other)."""
    names = cfg.DATASETS.UNLABELED or cfg.DATASETS.LABELED
    return math.ceil(len(_records(cfg, names, "DATASETS")) / cfg.SOLVER.IMS_PER_BATCH)


def _records(cfg: CfgNode, names: Sequence[str], key: str) -> list[Record]:
    """The records of all names together."""
    if not names:
        raise ValueError(f"{key} is empty. Name at least one registered dataset there.")
    classes = {name: get_spec(name).class_names for name in names}
    if len({tuple(entry) for entry in classes.values()}) > 1:
        raise ValueError(f"The datasets in {key} must have the same classes, found {classes}.")
    if cfg.DATASETS.ROOT:
        for name in names:
            set_root(name, cfg.DATASETS.ROOT)
    return [record for name in names for record in get_records(name)]


def _endless(
    cfg: CfgNode, dataset: LabeledDraws | UnlabeledDraws, seed: int, start_iter: int
) -> DataLoader:
    batch_size, rest = divmod(cfg.SOLVER.IMS_PER_BATCH, comm.get_world_size())
    if rest or batch_size < 1:
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH = {cfg.SOLVER.IMS_PER_BATCH} cannot be shared evenly by "
            f"{comm.get_world_size()} processes. Choose a multiple of it."
        )
    sampler = DrawSampler(len(dataset), seed, start_iter * batch_size)
    workers = cfg.DATALOADER.NUM_WORKERS
    logging.getLogger(__name__).info(
        "%s: %d images, %d per process and step", type(dataset).__name__, len(dataset), batch_size
    )
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=trivial_batch_collator,
        worker_init_fn=_one_thread,
        generator=torch.Generator(),  # the loader takes nothing from the global generator
        persistent_workers=workers > 0,
        drop_last=True,
    )


def _one_thread(worker: int) -> None:
    """The workers are the parallelism: more threads within each only get in each other's way."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _seed(cfg: CfgNode) -> int:
    """SEED; where it is negative, a random one that all processes share."""
    return cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed()
