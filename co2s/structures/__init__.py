"""Plain data structures shared by data, modelling and inference."""

from .dataset_spec import DatasetSpec
from .pseudo_label import PseudoLabel
from .raster_spec import RasterSpec
from .windows import windows

__all__ = ["DatasetSpec", "PseudoLabel", "RasterSpec", "windows"]
