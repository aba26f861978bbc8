"""A linear layer on frozen features: what the labelled images say of patches, and the fit to it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import CfgNode, build_model, comm, seed_all_rng
from co2s.data import build_labeled_images
from co2s.modeling.backbone import DENSE, padded_size
from co2s.modeling.metadata import num_classes
from co2s.modeling.sliding_window import fit_size, resize_image, window_and_stride
from co2s.modeling.student import Student
from co2s.solver.logistic import fit_linear
from co2s.structures import IGNORE_LABEL, EvalItem, windows

logger = logging.getLogger(__name__)

PATCHES = 200_000  # at most, of all images together
NUMBERS = 200_000_000  # at most, in the features of all patches: 0.8 GB


class Patches(NamedTuple):
    """Labelled patches: features (P, C), targets (P, N) shares of the classes, weights (P,) shares
    of labelled pixels, groups (P,) numbers of their images."""

    features: Tensor
    targets: Tensor
    weights: Tensor
    groups: Tensor


def fit_floor(cfg: CfgNode) -> nn.Module:
    """The model of a configuration with one student and a LinearHead, which is fitted."""
    seed_all_rng(cfg.SEED)  # random weights are those of the seed
    model: Any = build_model(cfg)
    (student,) = model.students.values()
    student.head.fill(*fit_student(cfg, student, for_iou=True))
    return model.eval()


def fit_student(
    cfg: CfgNode, student: Student, maps: Sequence[str] = (DENSE,), *, for_iou: bool = False
) -> tuple[Tensor, Tensor]:
    """Weight (N, C) and bias (N,) of a linear layer on a student's maps, as its backbone is.

    Fitted to the images of DATASETS.LABELED; maps: which ones, joined along the channels in this
    order. for_iou: as in `fit_linear`. float32 on the CPU. Every process calls it, and gets the
    same.
    """
    patches = gather(cfg, student, maps)
    images = len(patches.groups.unique())
    logger.info("A linear layer is fitted to %d patches of %d images", len(patches.groups), images)
    return fit_linear(*patches, for_iou=for_iou)


@torch.no_grad()
def gather(cfg: CfgNode, student: Student, maps: Sequence[str] = (DENSE,)) -> Patches:
    """The labelled patches of DATASETS.LABELED, with the features that inference sees.

    Where there are too many, as many are drawn of every image; from SEED and the image's number.
    """
    loader: Any = build_labeled_images(cfg)
    shapes = student.backbone.output_shape()
    channels = sum(shapes[name].channels or 0 for name in maps)
    quota = max(min(PATCHES, NUMBERS // channels) // len(loader.dataset), 1)
    parts = []
    with _as_it_predicts(student):
        for number, (item,) in zip(loader.sampler, loader, strict=True):
            loader.bad_files.check()
            if item is not None:
                rng = np.random.default_rng((cfg.SEED, number))
                found = [*_of_image(cfg, student, maps, item, quota, rng)]
                parts += [Patches(*part, torch.full((len(part[2]),), number)) for part in found]
    gathered = [part for parts in comm.all_gather(parts) for part in parts]
    if not gathered:
        raise ValueError("DATASETS.LABELED has no image that can be read.")
    return Patches(*(torch.cat(part) for part in zip(*gathered, strict=True)))


def _of_image(
    cfg: CfgNode,
    student: Student,
    maps: Sequence[str],
    item: EvalItem,
    quota: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Features, targets and weights of an image's patches, by batches of its windows."""
    patch = student.backbone.size_divisibility or 1
    image, classes = seen(cfg, item)
    height, width = classes.shape
    boxes = windows(height, width, *window_and_stride(cfg))
    boxes = [boxes[i] for i in sorted(_drawn(len(boxes), quota, rng))]
    batch = cfg.TEST.WINDOW_BATCH
    for start in range(0, len(boxes), batch):
        chunk = boxes[start : start + batch]
        crops = torch.stack([image[:, t:b, left:r] for t, left, b, r in chunk])
        labels = torch.stack([classes[t:b, left:r] for t, left, b, r in chunk])
        targets, weights = class_shares(labels, patch, num_classes(cfg))
        found = student.features(crops.to(student.pixel_mean.device))
        joined = torch.cat([found[name].float() for name in maps], dim=1)
        features = joined.permute(0, 2, 3, 1).flatten(0, 2).cpu()
        labelled = weights.nonzero()[:, 0]
        wanted = _drawn(len(labelled), max(quota * len(chunk) // len(boxes), 1), rng)
        chosen = labelled[torch.from_numpy(np.sort(wanted))]
        yield features[chosen], targets[chosen], weights[chosen]


def seen(cfg: CfgNode, item: EvalItem) -> tuple[Tensor, Tensor]:
    """Image (C, H, W) and classes (H, W) int64 of an item, in the size that inference gives them.

    A pixel without data has no class.
    """
    base, scale = tuple(cfg.INPUT.TEST_BASE_SIZE), cfg.INPUT.TEST_SCALE
    height, width = item["image"].shape[-2:]
    size = fit_size(height, width, base, scale)
    classes = item["sem_seg"]
    if "valid" in item:
        classes = classes.masked_fill(~item["valid"], IGNORE_LABEL)
    near = F.interpolate(classes[None, None].float(), size, mode="nearest-exact")
    return resize_image(item["image"], size), near[0, 0].long()


def class_shares(classes: Tensor, patch: int, num_classes: int) -> tuple[Tensor, Tensor]:
    """Classes (B, H, W) -> shares (P, N) of each class in a patch, and of its labelled pixels (P,).

    Patches are in the order of a flattened map (B, h, w); what they lack to be whole is padding
    on the right and bottom, which has no class. Of a patch without a label all shares are 0.
    """
    height, width = classes.shape[-2:]
    rows, columns = padded_size((height, width), patch)
    padded = F.pad(classes, (0, columns - width, 0, rows - height), value=IGNORE_LABEL)
    tiles = padded.unflatten(2, (-1, patch)).unflatten(1, (-1, patch)).transpose(2, 3)
    tiles = tiles.flatten(3).flatten(0, 2)
    counts = torch.stack([(tiles == n).sum(dim=1) for n in range(num_classes)], dim=1).float()
    labelled = counts.sum(dim=1)
    return counts / labelled.clamp(min=1)[:, None], labelled / patch**2


def _drawn(count: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """At most `wanted` of the numbers below `count`."""
    return rng.permutation(count)[:wanted] if count > wanted else np.arange(count)


@contextmanager
def _as_it_predicts(student: nn.Module) -> Iterator[None]:
    was_training = student.training
    student.eval()
    try:
        yield
    finally:
        student.train(was_training)
