"""Counting pixels over all processes: a loss must not depend on how a batch is shared out."""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor


def mean_counts(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """True entries of each mask, averaged over the processes, and at least a tiny number.

    A sum divided by it, averaged over the processes as DistributedDataParallel does with its
    gradients, is the mean over the pixels of the whole batch. One exchange for all masks; every
    process has to call it with the same names.
    """
    counts = torch.stack([mask.sum() for mask in masks.values()]).float()
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(counts)
        counts = counts / dist.get_world_size()
    return dict(zip(masks, counts.clamp(min=1e-6), strict=True))
