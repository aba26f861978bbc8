"""Rasters through rasterio: bands, windows, nodata, and files too large to be decoded whole."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from co2s.optional import import_extra

from ..spec.raster import RGB_BANDS, RasterSpec
from .opening import is_empty
from .orientation import UPRIGHT, orientation_of, upright
from .scaling import Limits, limits, to_bytes

Window = tuple[int, int, int, int]  # y, x, height, width in pixels
Bounds = tuple[float, float, float, float]  # west, south, east, north in units of the CRS
SAMPLE = 1024  # longest side of the decimated copy that percentiles are taken from, pixels


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
        bands, valid = OpenRaster(path, source, raster).read(window)
    return np.ascontiguousarray(bands.transpose(1, 2, 0)), valid


class OpenRaster:
    """An opened raster, of which window after window is read."""

    def __init__(self, path: str, source: Any, raster: RasterSpec) -> None:
        """ValueError where it lacks a band, or has other than 8-bit values and no scale."""
        self.path, self.source, self.raster = path, source, raster
        self._ends = _limits(path, raster)

    def read(self, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Bands (C, H, W) uint8, 0 where invalid, and valid (H, W)."""
        bands, valid = raw_pixels(self.source, self.raster, rasterio_window(window))
        if self._ends is None and bands.dtype != np.uint8:
            raise ValueError(_needs_scale(self.path, bands, valid))
        scaled = bands if self._ends is None else to_bytes(bands, *self._ends)
        return np.where(valid, scaled, np.uint8(0)), valid


def ordered_bounds(source: Any) -> Bounds:
    """West, south, east, north of a raster, whichever of its rows is the first."""
    left, bottom, right, top = source.bounds
    return min(left, right), min(bottom, top), max(left, right), max(bottom, top)


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """The raster, opened and upright; ValueError names one that cannot be read, now or later."""
    rasterio = import_extra("rasterio", "geo")
    quiet = rasterio.errors.NotGeoreferencedWarning  # a photograph without a place is no fault
    with raster_errors(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", quiet)
            file = rasterio.open(path)
        with file as source:
            _refuse_complex(source, path)
            # A georeference says better than a camera where up is.
            placed = source.crs is not None or not source.transform.is_identity
            turn = UPRIGHT if placed else orientation_of(path)
            if turn == UPRIGHT:
                yield source
            else:
                with _turned(source, turn) as copy:
                    yield copy


def _refuse_complex(source: Any, path: str) -> None:
    """NumPy would drop the imaginary part and go on."""
    found = [dtype for dtype in source.dtypes if dtype.startswith("complex")]
    if found:
        raise ValueError(
            f"{path} holds complex numbers ({found[0]}), as radar scenes do. Write what shall be "
            "seen of them as real numbers, such as the magnitude."
        )


@contextmanager
def raster_errors(path: str) -> Iterator[None]:
    """Turn the errors of rasterio into a ValueError that names the file."""
    try:
        yield
    except import_extra("rasterio", "geo").errors.RasterioError as error:
        words = "it is empty, 0 bytes." if is_empty(path) else error.__cause__ or error
        raise ValueError(f"{path} cannot be read as a raster: {words}") from error


@contextmanager
def _turned(source: Any, turn: int) -> Iterator[Any]:
    """A photograph as people see it, as a raster in memory."""
    bands = upright(source.read().transpose(1, 2, 0), turn).transpose(2, 0, 1)
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with import_extra("rasterio.io", "geo").MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        with memory.open(driver="GTiff", nodata=source.nodata, **profile) as copy:
            if palette_of(source) is not None:
                copy.write_colormap(1, source.colormap(1))
            else:
                copy.colorinterp = source.colorinterp
            copy.write(bands)
        with memory.open() as copy:
            yield copy


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
    """Bands (C, H, W) as stored, and valid (H, W).

    Of a file with one band, three are its grey or the colours of its palette. ValueError where a
    band is missing.
    """
    indexes = _indexes(source, raster)
    out = (len(indexes), *shape) if shape else None
    bands = source.read(indexes, window=window, out_shape=out)
    valid = _not_masked(source, indexes, window, bands.shape[1:])
    nodata = source.nodata if raster.nodata is None else raster.nodata
    if nodata is not None:
        valid &= ~is_nodata(bands, nodata)
    if np.issubdtype(bands.dtype, np.floating):
        valid &= np.isfinite(bands).all(axis=0)
    palette = palette_of(source) if not has_all_bands(source.count, raster) else None
    if palette is not None:
        colors = palette[bands[0]]
        return colors[..., :3].transpose(2, 0, 1), valid & (colors[..., 3] > 0)
    return bands, valid


def has_all_bands(count: int, raster: RasterSpec) -> bool:
    """Whether a file of `count` bands holds all that the dataset asks for."""
    return max(raster.bands) <= count


def stands_for_rgb(count: int, raster: RasterSpec) -> bool:
    """Whether red, green and blue are asked of a grey or palette file, which become all three."""
    return raster.bands == RGB_BANDS and count < len(RGB_BANDS)


def is_alpha(source: Any, band: int) -> bool:
    """Whether the header flags the band as alpha."""
    return source.colorinterp[band - 1].name == "alpha"


def _indexes(source: Any, raster: RasterSpec) -> list[int]:
    """The bands to read, one for each that the model sees."""
    if has_all_bands(source.count, raster):
        return list(raster.bands)
    if stands_for_rgb(source.count, raster) and (source.count == 1 or is_alpha(source, 2)):
        return [1, 1, 1]
    raise ValueError(
        f"{source.name} has {source.count} bands; raster.bands asks for {list(raster.bands)}. "
        "Correct the dataset's YAML file."
    )


def _not_masked(source: Any, bands: list[int], window: Any, shape: Any) -> np.ndarray:
    """(H, W) by the file's mask band or alpha; a band that the dataset reads is data, whatever the
    header says of it."""
    flags = {flag.name for flags in source.mask_flag_enums for flag in flags}
    named = any(is_alpha(source, band) for band in bands)
    if "per_dataset" not in flags or (named and "alpha" in flags):
        return np.ones(shape, bool)
    return source.dataset_mask(window=window, out_shape=shape) > 0


def is_nodata(bands: np.ndarray, nodata: float) -> np.ndarray:
    """(H, W): a 0 is missing where all bands have it, for a single dark band is no hole; any other
    value where one band has it."""
    same = np.isnan(bands) if np.isnan(nodata) else bands == nodata
    return same.all(axis=0) if nodata == 0 else same.any(axis=0)


def palette_of(source: Any) -> np.ndarray | None:
    """The colours (N, 4) uint8 RGBA of the first band's palette, None where there is none."""
    if source.count > 2 or source.colorinterp[0].name != "palette":
        return None
    colors = source.colormap(1)
    palette = np.zeros((max(255, *colors, 0) + 1, 4), np.uint8)
    for number, color in colors.items():
        palette[number] = color
    return palette


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
