"""Grounding: boxes that some other model has stored for an image, and the maps made of them."""

from .boxes import Box, Grounding, load_grounding
from .scores import class_scores
from .store import StoredBoxes, grounding_path

__all__ = [
    "Box",
    "Grounding",
    "StoredBoxes",
    "class_scores",
    "grounding_path",
    "load_grounding",
]
