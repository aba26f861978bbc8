"""The processes of a run: those that `torchrun` has started, else those that are started here."""

import argparse
import os
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from co2s.d2 import comm
from co2s.d2.processes import free_port, leave

from .signals import listening
from .supervision import supervise

Main = Callable[[argparse.Namespace], Any]
TIMEOUT = "CO2S_TIMEOUT"  # seconds that a process waits for the others; an environment variable


def run_in_processes(main: Main, args: argparse.Namespace) -> None:
    """Call `main(args)` in every process of the run.

    Under `torchrun` this is one of them, and joins the others; --num-gpus, --num-machines and the
    like are torchrun's to say then, and ValueError where they are given. Otherwise they say how
    many processes to start, as detectron2 has it; SystemExit where one of them fails. A signal
    that ends the run (see `signals`) is for all of them.
    """
    with listening():
        if dist.is_torchelastic_launched():
            _refuse_numbers(args)
            _work(main, args, "env://")
            leave(0)
        elif args.num_gpus * args.num_machines == 1:
            main(args)
        else:
            _start(main, args)


def _refuse_numbers(args: argparse.Namespace) -> None:
    if args.num_gpus != 1 or args.num_machines != 1:
        raise ValueError(
            f"torchrun has started {os.environ['WORLD_SIZE']} processes: leave --num-gpus "
            f"{args.num_gpus} and --num-machines {args.num_machines} to runs without it."
        )


def _start(main: Main, args: argparse.Namespace, method: str = "spawn") -> None:
    """Start this machine's processes and wait for them."""
    seconds()  # refuses what is no number before anything starts
    gpus = torch.cuda.device_count()
    if gpus and args.num_gpus > gpus:
        raise ValueError(f"--num-gpus {args.num_gpus}: this machine has {gpus} GPUs.")
    url = args.dist_url
    if url == "auto":
        if args.num_machines > 1:
            raise ValueError(
                "--dist-url auto finds a port on one machine only. Give the address of machine 0 "
                "as tcp://<host>:<port>."
            )
        url = f"tcp://127.0.0.1:{free_port()}"
    context = mp.start_processes(
        _child, (main, args, url), args.num_gpus, join=False, start_method=method
    )
    first = args.machine_rank * args.num_gpus
    supervise(context.processes, first, args.num_machines * args.num_gpus)


def _child(local_rank: int, main: Main, args: argparse.Namespace, url: str) -> None:
    """One process: the environment that torchrun would give it, then the same as there."""
    os.environ["LOCAL_RANK"], os.environ["LOCAL_WORLD_SIZE"] = str(local_rank), str(args.num_gpus)
    os.environ["RANK"] = str(args.machine_rank * args.num_gpus + local_rank)
    os.environ["WORLD_SIZE"] = str(args.num_machines * args.num_gpus)
    code: object = 0
    try:
        with listening():
            _work(main, args, url)
    except SystemExit as end:
        code = end.code or 0
    except Exception:
        traceback.print_exc()
        code = 1
    leave(code if isinstance(code, int) else 1)


def _work(main: Main, args: argparse.Namespace, url: str) -> None:
    _join(url)
    main(args)
    # Not after an error: a group that has lost a process may not come to its end.
    dist.destroy_process_group()


def _join(url: str) -> None:
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(
        "nccl" if has_gpu else "gloo",
        init_method=url,
        world_size=int(os.environ["WORLD_SIZE"]),
        rank=int(os.environ["RANK"]),
        timeout=timedelta(seconds=seconds()),
    )
    comm.create_local_process_group(int(os.environ["LOCAL_WORLD_SIZE"]))
    comm.synchronize()


def seconds() -> float:
    """How long a process waits for the others before it gives the run up; ValueError for less."""
    given = os.environ.get(TIMEOUT, "600")
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise ValueError(f"The environment variable {TIMEOUT} is '{given}': give seconds, as 600.")
    return value
