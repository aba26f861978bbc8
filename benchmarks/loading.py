"""Loading measured: samples per second of a stream, and where the seconds go."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

import cv2
import torch
from torch.utils.data import DataLoader

from co2s.d2 import META_ARCH_REGISTRY, CfgNode
from co2s.data import build_labeled_loader, build_unlabeled_loader, mapper
from co2s.data.reading import samples
from co2s.data.views import strong
from co2s.data.views.weak import Geometry, WeakView
from co2s.structures import Views

from . import plain
from .stages import Places, Stages

STREAMS = ("labelled", "unlabelled")
OBVIOUS = {"labelled": plain.PlainLabeled, "unlabelled": plain.PlainUnlabeled}
LIBRARY, PLAIN = "co2s", "Pillow + torchvision"
REST = "the rest: overhead of the loader"

STAGES: Mapping[str, Places] = {
    LIBRARY: {
        "decode image": [(mapper, "load_image"), (samples, "load_image")],
        "decode mask": [(samples, "load_classes")],
        "geometry": [(WeakView, "draw")] + [(Geometry, n) for n in ("image", "classes", "valid")],
        "strong: jitter": [(strong, "change_colors")],
        "strong: grey": [(strong, "to_gray")],
        "strong: blur": [(strong, "blur")],
        "CutMix boxes": [(mapper, "cutmix_box")],
        "to tensor": [(mapper, "to_tensor")],
    },
    PLAIN: {
        "decode image": [(plain, "read_picture")],
        "decode mask": [(plain, "read_mask")],
        "geometry": [(WeakView, "draw"), (plain, "place")],
        "strong: jitter": [(plain, "jitter")],
        "strong: grey": [(plain, "gray")],
        "strong: blur": [(plain, "blur")],
        "CutMix boxes": [(plain, "cutmix_box")],
        "to tensor": [(plain, "to_tensor"), (plain, "to_classes")],
    },
}


def build_loader(
    cfg: CfgNode, stream: str, pipeline: str, workers: int, start_iter: int
) -> DataLoader:
    """The loader of a stream from that step on; the pipelines differ in the mapper only."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATALOADER.NUM_WORKERS = workers
    if stream == "labelled":
        loader = build_labeled_loader(cfg, start_iter)
    else:
        views = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE).views(cfg)
        loader = build_unlabeled_loader(cfg, views or Views(), start_iter)
    if pipeline == PLAIN:
        loader.dataset.mapper = OBVIOUS[stream](loader.dataset.mapper)  # type: ignore[attr-defined]
    return loader


def batches_before(workers: int) -> int:
    """Batches to let pass: the loader asks for two from each worker before the first is taken."""
    return max(2 * workers, 1)


def samples_per_second(loader: DataLoader, batches: int) -> float:
    """The rate at which the loader, busy already, hands out that many batches."""
    iterator = iter(loader)
    for _ in range(batches_before(loader.num_workers)):
        next(iterator)
    start = perf_counter()
    count = sum(len(next(iterator)) for _ in range(batches))
    return count / (perf_counter() - start)


def seconds_by_stage(loader: DataLoader, pipeline: str, batches: int) -> dict[str, float]:
    """Seconds for each stage of one sample; the loader must work in this process."""
    iterator = iter(loader)
    for _ in range(batches_before(0)):
        next(iterator)
    with Stages(STAGES[pipeline]) as stages:
        start = perf_counter()
        count = sum(len(next(iterator)) for _ in range(batches))
        total = perf_counter() - start
    seconds = {**stages.seconds, REST: total - sum(stages.seconds.values())}
    return {stage: value / count for stage, value in seconds.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread in this process, as in each worker: rates are then those of one core."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])
