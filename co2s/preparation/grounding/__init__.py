"""Grounding before training: whoever can say where an image shows a class, its boxes stored."""

from .finders import Asked, Finder, Given
from .labels import FromLabels
from .run import Summary, ground

__all__ = ["Asked", "Finder", "FromLabels", "Given", "Summary", "ground"]
