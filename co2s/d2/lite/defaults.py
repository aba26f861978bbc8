"""What entry points share: command line, start of a run, writers, data-parallel model."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from . import comm
from .config import CfgNode
from .env import seed_all_rng
from .file_io import PathManager
from .logger import setup_logger
from .writers import CommonMetricPrinter, EventWriter, JSONWriter, TensorboardXWriter


def create_ddp_model(model: nn.Module, *, fp16_compression: bool = False, **kwargs: Any) -> Any:
    """The model in DistributedDataParallel where there are several processes, else as it is.

    `fp16_compression` halves what the processes exchange.
    """
    if comm.get_world_size() == 1:
        return model
    on_gpu = any(parameter.is_cuda for parameter in model.parameters())
    # On the CPU DistributedDataParallel refuses device ids.
    kwargs.setdefault("device_ids", [comm.get_local_rank()] if on_gpu else None)
    parallel = DistributedDataParallel(model, **kwargs)
    if fp16_compression:
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook

        parallel.register_comm_hook(None, fp16_compress_hook)
    return parallel


def default_argument_parser(epilog: str | None = None) -> argparse.ArgumentParser:
    """The command line of a training tool: config file, processes, config overrides."""
    program = sys.argv[0]
    parser = argparse.ArgumentParser(
        epilog=epilog
        or f"""
examples:
  one machine, 8 GPUs:
    {program} --num-gpus 8 --config-file cfg.yaml
  other settings:
    {program} --config-file cfg.yaml MODEL.WEIGHTS weights.pth SOLVER.BASE_LR 0.001
  two machines:
    {program} --machine-rank 0 --num-machines 2 --dist-url tcp://<machine 0>:<port> ...
    {program} --machine-rank 1 --num-machines 2 --dist-url tcp://<machine 0>:<port> ...
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config-file", default="", metavar="FILE", help="path of the config file")
    add("--resume", action="store_true", help="go on from the last checkpoint in the output folder")
    add("--eval-only", action="store_true", help="evaluate, do not train")
    add("--num-gpus", type=int, default=1, help="number of GPUs on each machine")
    add("--num-machines", type=int, default=1, help="number of machines")
    add("--machine-rank", type=int, default=0, help="number of this machine, from 0")
    add("--dist-url", default=_user_url(), help="where the processes find each other")
    add("opts", default=None, nargs=argparse.REMAINDER, help="config overrides: KEY VALUE ...")
    return parser


def _user_url() -> str:
    # One port per user: two users do not collide, and a process left over from an earlier run
    # shows, because it holds the port.
    user = os.getuid() if sys.platform != "win32" else 1
    return f"tcp://127.0.0.1:{2**15 + 2**14 + hash(user) % 2**14}"


def default_setup(cfg: CfgNode, args: Any) -> None:
    """Start a run: loggers, a record of machine, arguments and config.yaml, seeds, precision."""
    rank = comm.get_rank()
    if comm.is_main_process() and cfg.OUTPUT_DIR:
        PathManager.mkdirs(cfg.OUTPUT_DIR)
    setup_logger(cfg.OUTPUT_DIR or None, rank, name="fvcore")
    logger = setup_logger(cfg.OUTPUT_DIR or None, rank)
    logger.info("Rank of current process: %d. World size: %d", rank, comm.get_world_size())
    logger.info("Environment info:\n%s", _environment())
    logger.info("Command line arguments: %s", args)
    config_file = getattr(args, "config_file", "")
    if config_file:
        with PathManager.open(config_file, "r") as file:
            logger.info("Contents of args.config_file=%s:\n%s", config_file, file.read())
    if comm.is_main_process() and cfg.OUTPUT_DIR:
        path = os.path.join(cfg.OUTPUT_DIR, "config.yaml")
        logger.info("Running with full config:\n%s", cfg.dump())
        with PathManager.open(path, "w") as file:
            file.write(cfg.dump())
        logger.info("Full config saved to %s", path)
    # A different seed per process, the same ones each time.
    seed_all_rng(None if cfg.SEED < 0 else cfg.SEED + rank)
    if not getattr(args, "eval_only", False):
        torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK
    if cfg.FLOAT32_PRECISION and torch.cuda.is_available():
        torch.set_float32_matmul_precision(cfg.FLOAT32_PRECISION)
        torch.backends.cudnn.allow_tf32 = cfg.FLOAT32_PRECISION != "highest"
        logger.info("Set fp32 precision to %s", cfg.FLOAT32_PRECISION)


def _environment() -> str:
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": f"{torch.__version__} (CUDA {torch.version.cuda or 'none'})",
        "numpy": np.__version__,
        "GPUs": ", ".join(gpus) or "none",
    }
    return "\n".join(f"{name:<8}{value}" for name, value in facts.items())


def default_writers(output_dir: str, max_iter: int | None = None) -> list[EventWriter]:
    """Console, `output_dir`/metrics.json and TensorBoard; `max_iter` gives the time left."""
    PathManager.mkdirs(output_dir)
    return [
        CommonMetricPrinter(max_iter),
        JSONWriter(os.path.join(output_dir, "metrics.json")),
        TensorboardXWriter(output_dir),
    ]
