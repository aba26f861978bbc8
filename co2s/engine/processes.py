"""The processes of a run: those that `torchrun` has started, else those that `launch` starts."""

import argparse
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from co2s.d2 import comm, launch


def run_in_processes(main: Callable[[argparse.Namespace], Any], args: argparse.Namespace) -> None:
    """Call `main(args)` in every process of the run.

    Under `torchrun` this is one of them, and joins the others; --num-gpus, --num-machines and the
    like are torchrun's to say then, and ValueError where they are given. Otherwise they say how
    many processes to start, as detectron2 has it.
    """
    if not _under_torchrun():
        launch(
            main,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(args,),
        )
        return
    if args.num_gpus != 1 or args.num_machines != 1:
        raise ValueError(
            f"torchrun has started {os.environ['WORLD_SIZE']} processes: leave --num-gpus "
            f"{args.num_gpus} and --num-machines {args.num_machines} to runs without it."
        )
    _join()
    try:
        main(args)
    finally:
        dist.destroy_process_group()


def _under_torchrun() -> bool:
    return dist.is_torchelastic_launched()


def _join() -> None:
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if has_gpu else "gloo")
    comm.create_local_process_group(int(os.environ["LOCAL_WORLD_SIZE"]))
    comm.synchronize()
