"""Throughput of the data: samples per second of both streams, and the share of each stage."""

import argparse
import os
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy
import PIL
import torch
import torchvision

from co2s.d2 import CfgNode
from co2s.data.reading.samples import labeled_cache
from co2s.engine import load_cfg

from .loading import (
    LIBRARY,
    PLAIN,
    STREAMS,
    batches_before,
    build_loader,
    one_thread,
    samples_per_second,
    seconds_by_stage,
)
from .pictures import use_pictures
from .rates import Rates, tables, with_pairs

Results = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--workers", type=int, nargs="+", default=[0, 1, 2], help="numbers of workers to try")
    add("--batches", type=int, default=8, help="batches in each measurement")
    add("--repeats", type=int, default=5, help="measurements, of which the median counts")
    add("--cache", action="store_true", help="with the labelled pool in memory, once it was read")
    add("--compare", action="store_true", help=f"alternate with {PLAIN}, same operations")
    add("--synthetic", type=int, metavar="N", help="write N pictures, read them and delete them")
    add("--size", type=int, default=512, help="their side in pixels")
    add("--format", choices=("png", "jpg"), default="png", help="of their files; masks are PNG")


def run(args: argparse.Namespace) -> Results:
    """Measure as the arguments say. ValueError where the configuration names no data."""
    opts = list(args.opts)
    with ExitStack() as stack:
        if args.synthetic is not None:
            root = Path(stack.enter_context(TemporaryDirectory(prefix="co2s-benchmark-")))
            opts += use_pictures(root, args.synthetic, args.size, args.format)
        cfg = load_cfg(args.config_file, opts)
        cfg.defrost()
        cfg.SEED = max(cfg.SEED, 0)  # all measurements, and both pipelines, make the same draws
        stack.enter_context(one_thread())
        if not args.cache:  # what every labelled image costs when it is read
            stack.enter_context(labeled_cache(0))
        return measure(cfg, args)


def measure(cfg: CfgNode, args: argparse.Namespace) -> Results:
    streams = [stream for stream in STREAMS if stream == "labelled" or cfg.DATASETS.UNLABELED]
    pipelines = [LIBRARY, PLAIN] if args.compare else [LIBRARY]
    rates = {
        workers: with_pairs({s: rates_of(cfg, args, s, pipelines, workers) for s in streams})
        for workers in args.workers
    }
    stages = {stream: stages_of(cfg, args, stream, pipelines) for stream in streams}
    return {"settings": settings(cfg, args), "samples_per_second": rates, "stages": stages}


def rates_of(
    cfg: CfgNode, args: argparse.Namespace, stream: str, pipelines: list[str], workers: int
) -> Rates:
    """Samples per second of each pipeline; they take turns, so that noise falls on all alike."""
    rates: dict[str, list[float]] = {pipeline: [] for pipeline in pipelines}
    for repeat in range(args.repeats):
        # New draws in each, or what is in memory already would be measured.
        start = repeat * (batches_before(workers) + args.batches)
        for pipeline in pipelines:
            loader = build_loader(cfg, stream, pipeline, workers, start)
            rates[pipeline].append(samples_per_second(loader, args.batches))
    return rates


def stages_of(
    cfg: CfgNode, args: argparse.Namespace, stream: str, pipelines: list[str]
) -> dict[str, dict[str, float]]:
    """Median seconds per sample of each stage, for each pipeline."""
    seconds: dict[str, list[dict[str, float]]] = {pipeline: [] for pipeline in pipelines}
    for repeat in range(args.repeats):
        start = repeat * (batches_before(0) + args.batches)
        for pipeline in pipelines:
            loader = build_loader(cfg, stream, pipeline, 0, start)
            seconds[pipeline].append(seconds_by_stage(loader, pipeline, args.batches))
    return {
        pipeline: {stage: median(run[stage] for run in runs) for stage in runs[0]}
        for pipeline, runs in seconds.items()
    }


def settings(cfg: CfgNode, args: argparse.Namespace) -> Results:
    """What the figures depend on."""
    modules = (torch, torchvision, cv2, PIL, numpy)
    return {
        "labelled": list(cfg.DATASETS.LABELED),
        "unlabelled": list(cfg.DATASETS.UNLABELED),
        "synthetic": [args.synthetic, args.size, args.format] if args.synthetic else None,
        "crop": cfg.INPUT.CROP_SIZE,
        "samples_per_batch": cfg.SOLVER.IMS_PER_BATCH,
        "cache": args.cache,
        "batches": args.batches,
        "repeats": args.repeats,
        "cores": os.cpu_count(),
        "versions": {module.__name__: module.__version__ for module in modules},
    }


__all__ = ["add_arguments", "run", "tables"]
