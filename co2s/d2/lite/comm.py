"""Talk between processes: ranks, barriers, gathering; alone, nothing is exchanged."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

_LOCAL_PROCESS_GROUP: Any = None


def _initialized() -> bool:
    return dist.is_available() and dist.is_initialized()


def get_world_size() -> int:
    """Number of processes over all machines, 1 without a process group."""
    return dist.get_world_size() if _initialized() else 1


def get_rank() -> int:
    """Number of this process over all machines, 0 without a process group."""
    return dist.get_rank() if _initialized() else 0


def is_main_process() -> bool:
    return get_rank() == 0


@functools.lru_cache
def create_local_process_group(num_workers_per_machine: int) -> None:
    """Make the group of this machine's processes; `launch` calls it in every process, together."""
    global _LOCAL_PROCESS_GROUP
    world_size = get_world_size()
    assert _LOCAL_PROCESS_GROUP is None, "The local process group exists already: create it once."
    assert world_size % num_workers_per_machine == 0, (
        f"{world_size} processes cannot be split into machines of {num_workers_per_machine} each: "
        "start the same number on every machine."
    )
    for first in range(0, world_size, num_workers_per_machine):
        # new_group is collective: every process makes every group and keeps its own.
        ranks = list(range(first, first + num_workers_per_machine))
        group = dist.new_group(ranks)
        if get_rank() in ranks:
            _LOCAL_PROCESS_GROUP = group


def get_local_process_group() -> Any:
    """The group of this machine's processes; AssertionError where nobody created it."""
    assert _LOCAL_PROCESS_GROUP is not None, (
        "There is no local process group. Start the processes with launch(), or call "
        "comm.create_local_process_group() after torch.distributed.init_process_group()."
    )
    return _LOCAL_PROCESS_GROUP


def get_local_rank() -> int:
    """Number of this process on its machine, 0 without a process group."""
    return dist.get_rank(group=get_local_process_group()) if _initialized() else 0


def get_local_size() -> int:
    """Number of processes on this machine, 1 without a process group."""
    return dist.get_world_size(group=get_local_process_group()) if _initialized() else 1


def synchronize() -> None:
    """Wait until every process has come here."""
    if get_world_size() == 1:
        return
    if dist.get_backend() == dist.Backend.NCCL:
        # NCCL warns when it has to guess the device.
        dist.barrier(device_ids=[torch.cuda.current_device()])
    else:
        dist.barrier()


@functools.lru_cache
def _gloo_group() -> Any:
    """All processes over gloo, so that gathered objects do not pass through GPU memory."""
    return dist.new_group(backend="gloo") if dist.get_backend() == "nccl" else dist.group.WORLD


def all_gather(data: Any, group: Any = None) -> list[Any]:
    """Everybody's `data` (anything that pickles), in rank order, on every process."""
    if get_world_size() == 1:
        return [data]
    group = _gloo_group() if group is None else group
    gathered: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(gathered, data, group=group)
    return gathered


def gather(data: Any, dst: int = 0, group: Any = None) -> list[Any]:
    """Everybody's `data` in rank order on process `dst`; an empty list on the others."""
    if get_world_size() == 1:
        return [data]
    group = _gloo_group() if group is None else group
    if dist.get_rank(group) != dst:
        dist.gather_object(data, None, dst=dst, group=group)
        return []
    gathered: list[Any] = [None] * dist.get_world_size(group)
    dist.gather_object(data, gathered, dst=dst, group=group)
    return gathered


def shared_random_seed() -> int:
    """A random seed equal on all processes (the first one's); all of them must call it."""
    # The global generator, as in detectron2: seed_all_rng decides this seed too.
    return all_gather(np.random.randint(2**31))[0]  # noqa: NPY002


def reduce_dict(
    input_dict: dict[str, torch.Tensor], average: bool = True
) -> dict[str, torch.Tensor]:
    """Mean (or sum) of scalar tensors over the processes; the result is whole on rank 0 only."""
    world_size = get_world_size()
    if world_size == 1:
        return input_dict
    # Sorted: the processes must stack the same names in the same order.
    names = sorted(input_dict)
    with torch.no_grad():
        values = torch.stack([input_dict[name] for name in names])
        dist.reduce(values, dst=0)
        if average and is_main_process():
            values /= world_size
    return dict(zip(names, values, strict=True))
