"""From the large scenes of a raw distribution to tiles: images/NAME and index masks labels/NAME."""

from .prepare import Distribution, parse_args, prepare

__all__ = ["Distribution", "parse_args", "prepare"]
