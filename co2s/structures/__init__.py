"""Plain data structures shared by data, modelling and inference."""

from .dataset_spec import DatasetSpec
from .pseudo_label import PseudoLabel
from .windows import windows

__all__ = ["DatasetSpec", "PseudoLabel", "windows"]
