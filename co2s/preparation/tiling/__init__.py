"""From the large scenes of a raw distribution to tiles: images/NAME and index masks labels/NAME."""

from .color_code import ColorCode, parse_also
from .scene_pairs import ScenePair, find_scenes
from .tiles import Tile, claim_output, plan_tiles, write_tiles

__all__ = [
    "ColorCode",
    "ScenePair",
    "Tile",
    "claim_output",
    "find_scenes",
    "parse_also",
    "plan_tiles",
    "write_tiles",
]
