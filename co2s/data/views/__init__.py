"""Views of an image: the weak one moves and scales it, strong ones change its colours."""

from .build import strong_view, weak_view
from .strong import StrongView
from .weak import Geometry, WeakView

__all__ = ["Geometry", "StrongView", "WeakView", "strong_view", "weak_view"]
