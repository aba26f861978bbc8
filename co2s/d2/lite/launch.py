"""Start one process per GPU (NCCL), or several on the CPU (gloo)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from ..processes import free_port, leave
from . import comm
from .logger import get_logger

DEFAULT_TIMEOUT = timedelta(minutes=30)


def launch(
    main_func: Callable[..., Any],
    num_gpus_per_machine: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str | None = None,
    args: tuple[Any, ...] = (),
    timeout: timedelta = DEFAULT_TIMEOUT,
) -> None:
    """Call `main_func(*args)` in `num_gpus_per_machine` processes on each machine.

    One process on one machine is this process itself. `dist_url="auto"` finds a free port on this
    machine. Raises what a worker raised (torch.multiprocessing.ProcessRaisedException) and ends the
    others.
    """
    world_size = num_machines * num_gpus_per_machine
    if world_size <= 1:
        main_func(*args)
        return
    if dist_url == "auto":
        assert num_machines == 1, (
            f"dist_url='auto' finds a port on one machine only, got num_machines={num_machines}: "
            "give the address of machine 0 as tcp://<host>:<port>."
        )
        dist_url = f"tcp://127.0.0.1:{free_port()}"
    if num_machines > 1 and dist_url is not None and dist_url.startswith("file://"):
        get_logger("engine.launch").warning(
            "%s: a shared file is unreliable between machines, prefer tcp://<host>:<port>", dist_url
        )
    worker_args = (main_func, world_size, num_gpus_per_machine, machine_rank, dist_url)
    mp.start_processes(
        _worker, nprocs=num_gpus_per_machine, args=(*worker_args, args, timeout), daemon=False
    )


def _worker(
    local_rank: int,
    main_func: Callable[..., Any],
    world_size: int,
    num_gpus_per_machine: int,
    machine_rank: int,
    dist_url: str | None,
    args: tuple[Any, ...],
    timeout: timedelta,
) -> None:
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        assert num_gpus_per_machine <= torch.cuda.device_count(), (
            f"{num_gpus_per_machine} GPUs were asked for, this machine has "
            f"{torch.cuda.device_count()}: lower --num-gpus."
        )
    try:
        dist.init_process_group(
            backend="nccl" if has_gpu else "gloo",
            init_method=dist_url,
            world_size=world_size,
            rank=machine_rank * num_gpus_per_machine + local_rank,
            timeout=timeout,
        )
    except Exception:
        get_logger("engine.launch").error("No process group could be made at %s", dist_url)
        raise
    comm.create_local_process_group(num_gpus_per_machine)
    if has_gpu:
        torch.cuda.set_device(local_rank)
    # A process that is late here must not eat into the timeout of the first collective call.
    comm.synchronize()
    main_func(*args)
    dist.destroy_process_group()
    leave()
