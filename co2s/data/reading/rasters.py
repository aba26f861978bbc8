"""Rasters through rasterio: bands, windows and nodata."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from co2s.optional import import_extra

from ..spec.raster import RasterSpec
from .scaling import Limits, limits, to_bytes

Window = tuple[int, int, int, int]  # y, x, height, width in pixels
SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".jp2")
SAMPLE = 1024  # longest side of the decimated copy that percentiles are taken from, pixels


def is_raster(path: str, raster: RasterSpec | None) -> bool:
    """Whether rasterio reads the file: where the dataset says so, and TIFFs where it can."""
    return raster is not None or (path.lower().endswith(SUFFIXES) and _has_rasterio())


@lru_cache(maxsize=1)
def _has_rasterio() -> bool:
    return find_spec("rasterio") is not None


def raster_size(path: str) -> tuple[int, int]:
    """Height and width in pixels; only the header is read."""
    with opened(path) as source:
        return source.height, source.width


def read_raster(
    path: str, raster: RasterSpec, window: Window | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Bands (H, W, C) uint8, and valid (H, W) bool: False where nodata, masked, transparent or NaN.

    Only the window is read. Invalid pixels are 0. ValueError names a file that is damaged, lacks a
    band, or has other than 8-bit values and no scale.
    """
    with opened(path) as source:
        _check_bands(source, raster, path)
        bands, valid = raw_pixels(source, raster, rasterio_window(window))
        ends = _limits(path, raster)
        if ends is None and bands.dtype != np.uint8:
            raise ValueError(_needs_scale(path, bands, valid))
    scaled = bands if ends is None else to_bytes(bands, *ends)
    return np.ascontiguousarray(np.where(valid, scaled, 0).transpose(1, 2, 0)), valid


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """The raster, opened; ValueError names one that cannot be read, now or while it is open."""
    rasterio = import_extra("rasterio", "geo")
    try:
        with rasterio.open(path) as source:
            yield source
    except rasterio.errors.RasterioError as error:
        raise ValueError(f"{path} cannot be read as a raster: {error}") from error


@lru_cache(maxsize=4096)
def _limits(path: str, raster: RasterSpec) -> Limits | None:
    """Limits belong to a file, not to a window: windows of one scene look alike."""

    def sample() -> np.ma.MaskedArray:
        with opened(path) as source:
            step = max(source.height, source.width) / SAMPLE
            shape = [max(int(side / max(step, 1)), 1) for side in source.shape]
            bands, valid = raw_pixels(source, raster, None, (shape[0], shape[1]))
        return np.ma.masked_array(bands, np.broadcast_to(~valid, bands.shape))

    return limits(raster, path, sample)


def raw_pixels(
    source: Any, raster: RasterSpec, window: Any, shape: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Bands (C, H, W) as stored, and valid (H, W)."""
    indexes = list(raster.bands)
    out = (len(indexes), *shape) if shape else None
    bands = source.read(indexes, window=window, out_shape=out)
    valid = source.dataset_mask(window=window, out_shape=shape) > 0
    if raster.nodata is not None:
        valid &= ~_is_nodata(bands, raster.nodata)
    elif source.nodata is not None:
        valid &= ~_is_nodata(bands, source.nodata)
    if np.issubdtype(bands.dtype, np.floating):
        valid &= np.isfinite(bands).all(axis=0)
    return bands, valid


def _is_nodata(bands: np.ndarray, nodata: float) -> np.ndarray:
    """(H, W): a 0 is missing where all bands have it, for a single dark band is no hole; any other
    value where one band has it."""
    same = np.isnan(bands) if np.isnan(nodata) else bands == nodata
    return same.all(axis=0) if nodata == 0 else same.any(axis=0)


def _check_bands(source: Any, raster: RasterSpec, path: str) -> None:
    if max(raster.bands) > source.count:
        raise ValueError(
            f"{path} has {source.count} bands; raster.bands asks for {list(raster.bands)}. Correct "
            "the dataset's YAML file."
        )


def _needs_scale(path: str, bands: np.ndarray, valid: np.ndarray) -> str:
    values = bands[:, valid]
    found = f"{values.min()} to {values.max()}" if values.size else "nothing valid"
    return (
        f"{path} has {bands.dtype} values ({found}); models see 8 bits. Say in the dataset's YAML "
        "how to scale them, for instance `raster: {scale: {percentile: [2, 98]}}`."
    )


def rasterio_window(window: Window | None) -> Any:
    if window is None:
        return None
    y, x, height, width = window
    return import_extra("rasterio.windows", "geo").Window(x, y, width, height)
