"""A dataset of tiles from the scenes of its raw distribution: what such scripts share."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from co2s.data import get_spec
from co2s.data.spec import Color

from .color_code import ColorCode, parse_also
from .scene_pairs import find_scenes
from .tiles import claim_output, plan_tiles, write_tiles


@dataclass(frozen=True)
class Distribution:
    """How the scenes of a registered dataset are published, and how they are cut.

    `images` and `labels` are the ends of their paths, with `{scene}`. `stride`: pixels from one
    tile to the next, None: as many as their side. `unlabeled`: colours of masks without a class.
    """

    dataset: str
    images: str
    labels: str
    stride: int | None = None
    unlabeled: tuple[Color, ...] = ((0, 0, 0),)


def parse_args(
    distribution: Distribution, about: str, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """The command line of a script; about: its description."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    usual = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / distribution.dataset
    stride = distribution.stride or "the side"
    add("--raw", type=Path, required=True, help="folder with the unpacked distribution")
    add("--output", type=Path, default=usual, help="its folder (%(default)s)")
    add("--images", default=distribution.images, help="(%(default)s)")
    add("--labels", default=distribution.labels, help="(%(default)s)")
    add("--tile", type=int, default=512, help="side in pixels (%(default)s)")
    add("--stride", type=int, help=f"in pixels; the side: no overlap ({stride})")
    add("--also", nargs="+", default=[], metavar="R,G,B=CLASS", help="more colours of a class")
    args = parser.parse_args(arguments)
    args.stride = args.stride or distribution.stride or args.tile
    return args


@dataclass(frozen=True)
class Done:
    """Numbers of scenes and of their tiles, and words for a person."""

    scenes: int
    tiles: int
    text: str


def prepare(distribution: Distribution, args: argparse.Namespace) -> Done:
    """Cut the scenes into the tiles that are not there yet.

    OSError or ValueError says what is missing, or does not fit.
    """
    name = distribution.dataset
    code = ColorCode(get_spec(name), distribution.unlabeled, parse_also(args.also))
    scenes = find_scenes(args.raw, args.images, args.labels)
    tiles = plan_tiles(scenes, args.tile, args.stride)
    claim_output(args.output, {"dataset": name, "tile": args.tile, "stride": args.stride})
    written = sum(tqdm(write_tiles(tiles, args.output, code), name, len(tiles), unit=" tiles"))
    text = f"{args.output}: {len(tiles)} tiles of {len(scenes)} scenes, {written} of them new."
    if args.stride < args.tile:
        text += "\nTiles overlap: keep the tiles of a scene on one side (make_splits.py --scene)."
    return Done(len(scenes), len(tiles), text)
