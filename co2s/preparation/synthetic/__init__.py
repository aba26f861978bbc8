"""A seeded generator of small aerial scenes with exact masks, for trials and tests."""

from .scene import draw_scene
from .writer import write_synthetic_aerial

__all__ = ["draw_scene", "write_synthetic_aerial"]
