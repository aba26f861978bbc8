#!/usr/bin/env python
"""Cut the scenes of GID-15 into tiles of 512 pixels; safe to run twice.

python datasets/prepare_gid15.py --raw GID-15 --output datasets/gid15
Needed below --raw: RGB scenes and masks in 15 colours, black where nothing is labelled.
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

TILES = 3420
UNLABELED = (0, 0, 0)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    try:
        prepare(args)
    except (OSError, ValueError) as error:
        sys.exit(f"prepare_gid15.py: {error}")


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    usual = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "gid15"
    add("--raw", type=Path, required=True, help="folder with the unpacked distribution")
    add("--output", type=Path, default=usual, help="its folder (%(default)s)")
    add("--images", default="image_RGB/{scene}.tif", help="(%(default)s)")
    add("--labels", default="label_15classes/{scene}_15label.tif", help="(%(default)s)")
    add("--tile", type=int, default=512, help="side in pixels (%(default)s)")
    # The paper's 3420 tiles are 10 scenes x 18 x 19: the stride of 3/4 of a tile that gives them.
    add("--stride", type=int, default=384, help="in pixels; 512: no overlap (%(default)s)")
    add("--also", nargs="+", default=[], metavar="R,G,B=CLASS", help="more colours of a class")
    return parser.parse_args(arguments)


def prepare(args: argparse.Namespace) -> None:
    code = ColorCode(get_spec("gid15"), [UNLABELED], parse_also(args.also))
    scenes = find_scenes(args.raw, args.images, args.labels)
    tiles = plan_tiles(scenes, args.tile, args.stride)
    how = {"dataset": "gid15", "tile": args.tile, "stride": args.stride}
    claim_output(args.output, how)
    bar = tqdm(write_tiles(tiles, args.output, code), "gid15", len(tiles), unit=" tiles")
    written = sum(bar)
    print(f"{args.output}: {len(tiles)} tiles of {len(scenes)} scenes, {written} of them new.")
    if len(tiles) != TILES:
        print(f"The paper has {TILES} tiles (2736 + 684), which is what 10 scenes give.")
    if args.stride < args.tile:
        print("Tiles overlap: keep the tiles of a scene on one side (make_splits.py --scene).")


if __name__ == "__main__":
    main()
