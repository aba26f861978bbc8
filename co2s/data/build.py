"""Builds the loaders: labelled and unlabelled streams for training, whole sets for evaluation."""

import logging
import math
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from co2s.d2 import CfgNode, InferenceSampler, comm, trivial_batch_collator
from co2s.structures import Batch, EvalItem, LabeledItem, UnlabeledItem, Views

from .catalog import get_records, get_spec
from .failures import BadFiles, Failure, ItemLoader, Replaced, item_or_failure, without
from .mapper import EvalMapper, LabeledMapper, UnlabeledMapper
from .records import Record
from .streams import DrawSampler, LabeledDraws, UnlabeledDraws


class PairedStreams:
    """Endless batches {"labeled": [...], "unlabeled": [...]} from the two streams."""

    def __init__(
        self,
        labeled: Iterable[list[LabeledItem]] | None,
        unlabeled: Iterable[list[UnlabeledItem]] | None,
        bad_files: BadFiles | None = None,
    ):
        """None for one of the two: every batch has an empty list of such items.

        bad_files: gets the files that both streams had to do without.
        """
        self.labeled = labeled
        self.unlabeled = unlabeled
        self.bad_files = bad_files
        for stream in (labeled, unlabeled):
            if isinstance(stream, ItemLoader):
                stream.bad_files = bad_files

    def __iter__(self) -> Iterator[Batch]:
        if self.labeled is None:
            assert self.unlabeled is not None
            for unlabeled in self.unlabeled:
                yield {"labeled": [], "unlabeled": unlabeled}
            return
        if self.unlabeled is None:
            for labeled in self.labeled:
                yield {"labeled": labeled, "unlabeled": []}
            return
        for labeled, unlabeled in zip(self.labeled, self.unlabeled, strict=True):
            yield {"labeled": labeled, "unlabeled": unlabeled}


def build_train_loader(cfg: CfgNode, views: Views | None, start_iter: int = 0) -> PairedStreams:
    """The paired streams from step `start_iter` on, exactly as if the steps before had been made.

    views: what the method sees of an unlabelled image. Where it sees none the unlabelled half is
    empty; the labelled one where the views say so. ValueError where no dataset is named for one.
    """
    labeled = unlabeled = None
    if views is None or views.labeled:
        labeled = build_labeled_loader(cfg, start_iter)
    if views is not None:
        unlabeled = build_unlabeled_loader(cfg, views, start_iter)
    return PairedStreams(labeled, unlabeled, BadFiles(cfg.DATALOADER.MAX_BAD_FILES))


def build_labeled_loader(cfg: CfgNode, start_iter: int = 0) -> DataLoader:
    """Endless batches of labelled items; SOLVER.IMS_PER_BATCH of them over all processes."""
    names = cfg.DATASETS.LABELED
    check_classes(names)
    records = _records(names, "DATASETS.LABELED")
    dataset = LabeledDraws(records, LabeledMapper(cfg, names), cfg.SEED)
    return _endless(cfg, dataset, start_iter)


def build_unlabeled_loader(cfg: CfgNode, views: Views, start_iter: int = 0) -> DataLoader:
    """Endless batches of unlabelled items; SOLVER.IMS_PER_BATCH of them over all processes."""
    check_partner(cfg, views)
    names = cfg.DATASETS.UNLABELED
    records = _records(names, "DATASETS.UNLABELED")
    mapper = UnlabeledMapper(cfg, names, views)
    if mapper.boxes is not None:
        mapper.boxes.check(records, mapper.specs)
    dataset = UnlabeledDraws(records, mapper, cfg.SEED)
    return _endless(cfg, dataset, start_iter)


def build_test_loader(cfg: CfgNode, name: str) -> DataLoader:
    """Every image of a registered name exactly once, shared out over the processes."""
    records = _records([name], "DATASETS.TEST")
    return _once(cfg, MappedRecords(records, EvalMapper(cfg, [name])))


def build_labeled_images(cfg: CfgNode) -> DataLoader:
    """Every image of DATASETS.LABELED exactly once, whole, shared out over the processes.

    With DATALOADER.MAX_BAD_FILES, None stands for one that cannot be read, and the loader's
    `bad_files` knows it: whoever iterates has to check those.
    """
    names = cfg.DATASETS.LABELED
    check_classes(names)
    records = _records(names, "DATASETS.LABELED")
    limit = cfg.DATALOADER.MAX_BAD_FILES
    loader = _once(cfg, MappedRecords(records, EvalMapper(cfg, names), replace=limit > 0))
    loader.bad_files = BadFiles(limit)
    return loader


def _once(cfg: CfgNode, images: "MappedRecords") -> ItemLoader:
    return ItemLoader(
        images,
        batch_size=1,
        sampler=InferenceSampler(len(images)),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=trivial_batch_collator,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),
    )


class MappedRecords(Dataset):
    """Records seen through an EvalMapper."""

    def __init__(
        self, records: Sequence[Record], mapper: EvalMapper, replace: bool = False
    ) -> None:
        """replace: whether None takes the place of an item whose file cannot be read."""
        self.records = records
        self.mapper = mapper
        self.replace = replace

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> "EvalItem | Failure | Replaced":
        item = item_or_failure(lambda: self.mapper(self.records[index]))
        if self.replace and isinstance(item, Failure):
            return without(item, self.records, index)
        return item


def iterations_per_epoch(cfg: CfgNode) -> int:
    """Steps that walk the unlabelled pool once (the labelled one where there is no other)."""
    names = cfg.DATASETS.UNLABELED or cfg.DATASETS.LABELED
    records = _records(names, "DATASETS")
    return math.ceil(len(records) / cfg.SOLVER.IMS_PER_BATCH)


def check_classes(names: Sequence[str]) -> None:
    """ValueError where labelled datasets have not the same classes; unlabelled ones may."""
    classes = {name: get_spec(name).class_names for name in names}
    if len({tuple(entry) for entry in classes.values()}) > 1:
        raise ValueError(
            f"The datasets in DATASETS.LABELED must have the same classes, found {classes}."
        )


def _records(names: Sequence[str], key: str) -> list[Record]:
    """The records of all names together."""
    if not names:
        raise ValueError(f"{key} is empty. Name at least one registered dataset there.")
    return [record for name in names for record in get_records(name)]


def images_per_batch(cfg: CfgNode) -> int:
    """How many labelled images, and unlabelled ones, pass the model of a process together.

    SOLVER.IMS_PER_BATCH of a step, shared out over processes and SOLVER.ACCUMULATE. ValueError
    where that is no whole number.
    """
    total, parts = cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.ACCUMULATE
    if parts < 1 or total < 1 or total % (comm.get_world_size() * parts):
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH = {total} cannot be shared evenly by {comm.get_world_size()} "
            f"processes in {parts} parts each (SOLVER.ACCUMULATE). Choose a multiple."
        )
    return total // (comm.get_world_size() * parts)


def check_partner(cfg: CfgNode, views: Views) -> None:
    """ValueError where the batch has no such CutMix partner as the views want."""
    if views.cutmix and views.partner == "rolled" and images_per_batch(cfg) < 2:
        raise ValueError(
            'DATALOADER.CUTMIX_PARTNER "rolled" is another image of the batch, and a batch of one '
            'has none. Set it to "previous" or "other".'
        )
    if views.cutmix and views.partner == "previous" and cfg.SOLVER.ACCUMULATE > 1:
        raise ValueError(
            'DATALOADER.CUTMIX_PARTNER "previous" needs steps of one batch, and SOLVER.ACCUMULATE '
            f'is {cfg.SOLVER.ACCUMULATE}. Set the partner to "rolled" or "other".'
        )


def _endless(cfg: CfgNode, dataset: LabeledDraws | UnlabeledDraws, start_iter: int) -> DataLoader:
    batch_size = images_per_batch(cfg)
    if cfg.SEED < 0:
        raise ValueError(f"SEED is {cfg.SEED}; draw one first, as co2s.engine.load_cfg does.")
    dataset.max_bad = cfg.DATALOADER.MAX_BAD_FILES
    made = start_iter * batch_size * cfg.SOLVER.ACCUMULATE
    sampler = DrawSampler(len(dataset), cfg.SEED, dataset.stream, made)
    workers = cfg.DATALOADER.NUM_WORKERS
    logging.getLogger(__name__).info(
        "%s: %d images, %d per process and step", type(dataset).__name__, len(dataset), batch_size
    )
    return ItemLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=trivial_batch_collator,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # the loader takes nothing from the global generator
        persistent_workers=workers > 0,
        drop_last=True,
    )


def _start_worker(worker: int) -> None:
    """The workers are the parallelism: more threads within each only get in each other's way.

    Signals that ask a run to save and end are for the process that trains: the worker goes on, and
    ends with it.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    for name in ("SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker at a SIGTERM of the process it works for, not at one for the whole run."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)
