"""Counting pixels over all processes: a loss must not depend on how a batch is shared out."""

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
    counts = torch.stack(sums).sum(dim=0).float()
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(counts)
        counts = counts / dist.get_world_size()
    return dict(zip(masks, counts.clamp(min=1e-6), strict=True))
