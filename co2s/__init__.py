"""co2s: semi-supervised semantic segmentation of remote-sensing images."""

__version__ = "0.1.0"

from co2s import data, modeling  # datasets, backbones, guidance, heads and methods register here

__all__ = ["__version__", "data", "modeling"]
