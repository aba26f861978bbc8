#!/usr/bin/env python
"""Maps of images and scenes of any size.

predict.py --weights W --input FILE|FOLDER|GLOB ... --output DIR [--confidence] ...

GeoTIFFs and whatever else rasterio opens become Cloud-Optimised GeoTIFFs on their own grid, with
colours and class names; PNG and JPEG become PNG with a palette and an overlay. Weights are enough:
they carry the classes, and how the images of their training were read.
A second run leaves finished scenes alone. Exit code 1: some scenes failed, listed at the end.
Options of the configuration follow as `KEY VALUE` pairs (TEST.WINDOW_SIZE 1024, say).
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from co2s.d2 import setup_logger
from co2s.inference.layers import UNSURE, Wanted
from co2s.inference.ray_run import predict_on_ray
from co2s.inference.run import FUSED, Job, predict_here
from co2s.inference.scene_maps import Outlines
from co2s.inference.sources import Shard, find_sources
from co2s.tool import tool

FORMATS = ("gpkg", "geojson", "parquet")


@tool
def main() -> None:
    args = parse_args()
    setup_logger(name="co2s")
    output = Path(args.output)
    sources = find_sources(args.input, output)
    mine = Shard.parse(args.shard, os.environ).of(sources)
    output.mkdir(parents=True, exist_ok=True)
    job = job_of(args)
    run = partial(predict_on_ray, address=args.ray) if args.ray else predict_here
    outcome = run(job, mine)
    print(outcome.sentence())
    sys.exit(1 if outcome.failed else 0)


def job_of(args: argparse.Namespace) -> Job:
    """The job that the arguments ask for."""
    precision = [] if args.precision == "fp32" else ["SOLVER.AMP.ENABLED", True]
    precision += ["SOLVER.AMP.DTYPE", args.precision] if precision else []
    return Job(
        config_file=args.config_file,
        weights=args.weights,
        output=args.output,
        opts=(*precision, *args.opts),
        student=args.student,
        wanted=Wanted(tuple(n for n in UNSURE if getattr(args, n)), args.probabilities),
        maps=args.maps,
        outlines=Outlines(args.polygons, args.min_area, args.simplify),
        tta=args.tta,
        warp=not args.no_warp,
        batch=args.batch,
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--config-file", default="", help="default: the config.yaml beside the weights")
    add("--weights", required=True, help="a checkpoint, such as model_best.pth")
    add("--input", required=True, nargs="+", help="files, folders, patterns, /vsi paths")
    add("--output", required=True, help="folder of the maps")
    add("--student", default=FUSED, help="whose map: fused (default), or one of MODEL.STUDENTS")
    add("--maps", action="store_true", help="each student's own class map, too")
    add("--confidence", action="store_true", help="band: probability of the class, 0 to 254")
    add("--entropy", action="store_true", help="band: entropy, as a share of the most")
    add("--disagreement", action="store_true", help="band: how far the two students are apart")
    add("--probabilities", action="store_true", help="a band for each class")
    add("--polygons", default="", choices=("", *FORMATS), help="outlines of the class map")
    add("--min-area", type=float, default=0.0, help="smaller polygons go to their neighbours")
    add("--simplify", type=float, default=0.0, help="tolerance of the outlines in pixels")
    add("--tta", action="store_true", help="every window in eight flips and turns")
    add("--no-warp", action="store_true", help="read scenes of another resolution as they are")
    add("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    add("--batch", type=int, default=0, help="windows at a time; default: TEST.WINDOW_BATCH")
    add("--shard", default="", help="I/N: the I-th of N parts; default: of a Slurm array's task")
    add("--ray", nargs="?", const="auto", default="", metavar="ADDRESS", help="a running cluster's")
    add("opts", nargs="*", default=[], help="configuration, KEY VALUE pairs")
    args = parser.parse_args()
    if len(args.opts) % 2:
        parser.error(f"options come as KEY VALUE pairs, found {args.opts}")
    return args


if __name__ == "__main__":
    main()
