"""Loading the model: seconds and peak memory with its weights, and without."""

import argparse
import resource
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from co2s.d2 import CfgNode, build_model
from co2s.engine import load_cfg
from co2s.tables import text_table

Results = dict[str, Any]
IMPORTS, RANDOM, LOADED = "imports alone", "random weights", "weights of the configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=5, help="of which the median counts")


def run(args: argparse.Namespace) -> Results:
    """Build the model in processes of their own, one after the other; kinds take turns."""
    read_config(args.config_file, args.opts)  # what is wrong with it is said before anything runs
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in (IMPORTS, RANDOM, LOADED)}
    for _ in range(args.repeats):
        for kind, figures in found.items():
            with get_context("spawn").Pool(1) as pool:
                figures.append(pool.apply(build_once, (kind, args.config_file, args.opts)))
    return {
        kind: {"seconds": [s for s, _ in f], "GB": [m for _, m in f]} for kind, f in found.items()
    }


def build_once(kind: str, config_file: str, opts: Sequence[str]) -> tuple[float, float]:
    """Seconds that building took, and this process's peak memory in GB."""
    cfg = read_config(config_file, opts)
    cfg.defrost()
    if kind == RANDOM:
        for node in (cfg.MODEL[name.upper()] for name in cfg.MODEL.STUDENTS):
            node.BACKBONE.WEIGHTS = node.GUIDANCE.PROTOTYPES = ""
    start = perf_counter()
    if kind != IMPORTS:
        build_model(cfg)
    return perf_counter() - start, peak_memory()


def read_config(config_file: str, opts: Sequence[str]) -> CfgNode:
    return load_cfg(config_file, [*opts, "MODEL.DEVICE", "cpu"])


def peak_memory() -> float:
    """Peak resident memory of this process in GB."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what the parent had before this process began
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def tables(results: Results) -> list[str]:
    """Medians, one row for each kind."""
    rows = [
        [kind, f"{median(figures['seconds']):.2f}", f"{median(figures['GB']):.2f}"]
        for kind, figures in results.items()
    ]
    headers = ["building the pair of students", "s", "peak GB"]
    return [text_table(rows, headers, disable_numparse=True)]
