"""Counting pixels over all processes: no number may depend on how a batch is shared out."""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor


def mean_counts(*batches: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """True entries of each mask, averaged over the processes, and at least a tiny number.

    A sum divided by it, averaged over the processes as DistributedDataParallel does with its
    gradients, is the mean over the pixels of the whole step. Masks of several batches of a step are
    counted together. One exchange for all masks; every process has to call it with the same names.
    """
    masks = batches[0]
    sums = [torch.stack([batch[name].sum() for name in masks]) for batch in batches]
    counts = sum_over_processes(torch.stack(sums).sum(dim=0).float())
    if dist.is_available() and dist.is_initialized():
        counts = counts / dist.get_world_size()
    return dict(zip(masks, counts.clamp(min=1e-6), strict=True))


def pixels_by_class(label: Tensor, mask: Tensor, num_classes: int) -> Tensor:
    """(N,) int64: the True pixels of mask (B, H, W) by their label (B, H, W) in 0..N-1.

    On the labels' device, and without waiting for it, as `bincount` would. Labels outside the mask
    may be anything.
    """
    bins = torch.where(mask, label, num_classes).flatten()
    counts = torch.zeros(num_classes + 1, dtype=torch.int64, device=label.device)
    return counts.scatter_add_(0, bins, torch.ones_like(bins))[:num_classes]


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of every process's values, in place; every process has to call it."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values)
    return values
