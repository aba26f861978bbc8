#!/usr/bin/env python
"""Cut the 38 scenes of ISPRS Potsdam into tiles of 512 pixels; safe to run twice.

python datasets/prepare_potsdam.py --raw Potsdam --output datasets/potsdam
Needed below --raw: top_potsdam_2_10_RGB.tif and top_potsdam_2_10_label.tif of every scene.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from co2s.data import get_spec
from co2s.preparation.tiling import (
    ColorCode,
    claim_output,
    find_scenes,
    parse_also,
    plan_tiles,
    write_tiles,
)

SCENES = 38
UNLABELED = (0, 0, 0)  # in the masks without boundaries


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    try:
        prepare(args)
    except (OSError, ValueError) as error:
        sys.exit(f"prepare_potsdam.py: {error}")


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    usual = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "potsdam"
    add("--raw", type=Path, required=True, help="folder with the unpacked distribution")
    add("--output", type=Path, default=usual, help="its folder (%(default)s)")
    add("--images", default="top_potsdam_{scene}_RGB.tif", help="(%(default)s)")
    add("--labels", default="top_potsdam_{scene}_label.tif", help="(%(default)s)")
    add("--tile", type=int, default=512, help="side in pixels (%(default)s)")
    add("--also", nargs="+", default=[], metavar="R,G,B=CLASS", help="more colours of a class")
    return parser.parse_args(arguments)


def prepare(args: argparse.Namespace) -> None:
    code = ColorCode(get_spec("potsdam"), [UNLABELED], parse_also(args.also))
    scenes = find_scenes(args.raw, args.images, args.labels)
    tiles = plan_tiles(scenes, args.tile, args.tile)
    how = {"dataset": "potsdam", "tile": args.tile, "stride": args.tile}
    claim_output(args.output, how)
    bar = tqdm(write_tiles(tiles, args.output, code), "potsdam", len(tiles), unit=" tiles")
    written = sum(bar)
    print(f"{args.output}: {len(tiles)} tiles of {len(scenes)} scenes, {written} of them new.")
    if len(scenes) != SCENES:
        print(f"The paper's 4924 + 548 tiles are those of {SCENES} scenes of 6000 x 6000 pixels.")


if __name__ == "__main__":
    main()
