"""The training step: seconds, operations and memory of variants that take turns, as JSON lines.

The model is random and the batches are made up; reading data is not measured (benchmark.py data).
Every variant has a process of its own, and they step one after another, so that a busy machine
slows all of them alike: compare within one run. Pseudo-labels all count, as late in a training.
"""

import argparse
import json
from itertools import product
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from .stepping import WorkerSettings, work

Results = list[dict[str, Any]]
VARIANTS = ("plain", "default", "fastest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=["default"])
    types = ("fp32", "bf16", "fp16")
    parser.add_argument("--precision", nargs="+", choices=types, default=["fp32"])
    parser.add_argument(
        "--checkpointing", nargs="+", choices=("none", "mlp", "block"), default=["none"]
    )
    parser.add_argument("--compile", action="store_true", help="all but plain")
    parser.add_argument("--method", default="Co2S")
    parser.add_argument("--backbone", default="", help="timm's name, of the local student")
    parser.add_argument("--resolution", type=int, default=128, help="side of the crop, pixels")
    parser.add_argument("--batch", type=int, default=1, help="labelled images, and unlabelled ones")
    parser.add_argument("--classes", type=int, default=6)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5, help="of which the median counts")
    parser.add_argument("--warmup", type=int, default=2, help="steps that do not count")


def run(args: argparse.Namespace) -> Results:
    """One dict for each variant; plain is float32 and keeps everything, whatever else is asked."""
    context = get_context("spawn")
    workers = []
    for settings in variants(args):
        here, there = context.Pipe()
        process = context.Process(target=work, args=(settings, there), daemon=True)
        process.start()
        workers.append((settings, here, process))
    try:
        return _take_turns(args, [(settings, pipe) for settings, pipe, _ in workers])
    finally:
        for _, pipe, process in workers:
            pipe.close()
            process.join(5)
            process.terminate()


def variants(args: argparse.Namespace) -> list[WorkerSettings]:
    """What each process is to run, plain ones once."""
    found = []
    for name, precision, kept in product(args.variant, args.precision, args.checkpointing):
        plain = name == "plain"
        settings = WorkerSettings(
            variant=name,
            precision="fp32" if plain else precision,
            checkpointing="none" if plain else kept,
            compile=args.compile and not plain,
            method=args.method,
            backbone=args.backbone,
            resolution=args.resolution,
            batch=args.batch,
            classes=args.classes,
            device=args.device,
            config_file=args.config_file,
            opts=tuple(args.opts),
        )
        if settings not in found:
            found.append(settings)
    return found


def _take_turns(
    args: argparse.Namespace, workers: list[tuple[WorkerSettings, Connection]]
) -> Results:
    times: list[list[tuple[float, float]]] = [[] for _ in workers]
    for number in range(args.warmup + args.repeats):
        for (_, pipe), taken in zip(workers, times, strict=True):
            seconds = _ask(pipe, "step")
            if number >= args.warmup:
                taken.append(seconds)
    facts = [_ask(pipe, "facts") for _, pipe in workers]
    return [
        _line(settings, taken, fact)
        for (settings, _), taken, fact in zip(workers, times, facts, strict=True)
    ]


def _ask(pipe: Connection, what: str) -> Any:
    pipe.send(what)
    answer = pipe.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _line(
    settings: WorkerSettings, taken: list[tuple[float, float]], facts: dict[str, Any]
) -> dict[str, Any]:
    wall, cpu = zip(*taken, strict=True)
    seconds = median(wall)
    rate = facts["gflop_per_step"] / seconds
    return {
        **settings._asdict(),
        "wall_s": _spread(wall),
        "cpu_s": _spread(cpu),
        "images_per_s": round(2 * settings.batch / seconds, 3),
        **facts,
        "gflop_per_s": round(rate, 1),
        "share_of_matmul": round(rate / facts["matmul_gflop_per_s"], 3),
    }


def _spread(values: tuple[float, ...]) -> dict[str, float]:
    kinds = {"median": median, "min": min, "max": max}
    return {name: round(kind(values), 4) for name, kind in kinds.items()}


def tables(results: Results) -> list[str]:
    """One JSON line for each variant."""
    return ["\n".join(json.dumps(line) for line in results)]
