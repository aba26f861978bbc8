"""What is known of a dataset: classes, labels, bands, layout, splits; read from its YAML file."""

from .dataset import ClassSpec, Color, DatasetSpec, LabelSpec
from .layout import LayoutSpec, SplitSpec
from .raster import RasterSpec, ScaleSpec
from .reader import load_spec, spec_from_dict

__all__ = [
    "ClassSpec",
    "Color",
    "DatasetSpec",
    "LabelSpec",
    "LayoutSpec",
    "RasterSpec",
    "ScaleSpec",
    "SplitSpec",
    "load_spec",
    "spec_from_dict",
]
