"""Counting pixels over all processes: a loss must not depend on how a batch is shared out."""

import torch.distributed as dist
from torch import Tensor


def mean_count(mask: Tensor) -> Tensor:
    """True entries of a mask, averaged over the processes of the run, and at least a tiny one.

    A sum divided by it, averaged over the processes as DistributedDataParallel does with its
    gradients, is the mean over the pixels of the whole batch. Every process has to call it.
    """
    count = mask.sum().float()
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(count)
        count = count / dist.get_world_size()
    return count.clamp(min=1e-6)
