"""Masks that are rasters: as they are, or on the pixel grid of their image, whatever their own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from co2s.optional import import_extra

from .rasters import (
    Window,
    is_alpha,
    opened,
    ordered_bounds,
    palette_of,
    raster_errors,
    rasterio_window,
)
from .raw_mask import RawMask, holds_colors, holds_numbers, known_or_none, lacks_band


@contextmanager
def opened_mask(
    path: str, encoding: str, band: int | None = None, image: str | None = None
) -> Iterator[Callable[[Window | None], RawMask]]:
    """A mask in a raster, to be read by windows: `encoding` "index" or "color", `band` from 1 on of
    "index".

    With `image`, a raster too, the mask is read on the image's grid: one with another CRS or grid
    is brought onto it, nearest neighbour. Only the window is read. The file stays open: of some
    formats everything above a window has to be decoded. ValueError where the two do not overlap,
    and where the file does not hold what it should.
    """
    with opened(path) as label, _on_grid(label, path, image) as aligned:
        bands = _bands(label, encoding, band, path)

        def read(window: Window | None) -> RawMask:
            with raster_errors(path):
                return _read(label, aligned, bands, encoding, window, path)

        yield read


def _read(
    label: Any, aligned: Any, bands: list[int], encoding: str, window: Window | None, path: str
) -> RawMask:
    palette = palette_of(label) if bands == [1] else None
    place = rasterio_window(window)
    raw = aligned.read(bands, window=place)
    known = _known(label, aligned, bands, place, raw.shape[1:])
    nodata = label.nodatavals[bands[0] - 1]
    if palette is not None:
        colors = palette[raw[0]]
        known = known & (colors[..., 3] > 0)
        raw = colors[..., :3].transpose(2, 0, 1) if encoding == "color" else raw
        nodata = None if encoding == "color" else nodata
    values = _colors(raw, known, path) if encoding == "color" else _numbers(raw, known, path)
    return RawMask(values, known_or_none(known), nodata)


def _bands(label: Any, encoding: str, band: int | None, path: str) -> list[int]:
    """The bands to read: one, or three where they are colours or may be."""
    if encoding == "color":
        return [1, 2, 3] if label.count >= 3 else [1]
    if band is not None:
        if band > label.count:
            raise lacks_band(path, label.count, band)
        return [band]
    shown = [interpretation.name for interpretation in label.colorinterp[:3]]
    return [1, 2, 3] if shown == ["red", "green", "blue"] else [1]


def _colors(raw: np.ndarray, known: np.ndarray, path: str) -> np.ndarray:
    """(H, W, 3) uint8 of (1 or 3, H, W)."""
    colors = np.broadcast_to(raw, (3, *raw.shape[1:]))
    with np.errstate(invalid="ignore"):
        narrow = colors.astype(np.uint8)
    if raw.dtype != np.uint8 and (narrow != colors)[:, known].any():
        raise holds_numbers(path, str(raw.dtype))
    return narrow.transpose(1, 2, 0)


def _numbers(raw: np.ndarray, known: np.ndarray, path: str) -> np.ndarray:
    """(H, W) of (1, H, W), or of three bands that say the same."""
    if len(raw) > 1 and (raw != raw[:1])[:, known].any():
        raise holds_colors(path)
    return raw[0]


def _known(
    label: Any, aligned: Any, bands: list[int], window: Any, shape: tuple[int, ...]
) -> np.ndarray:
    """(H, W) bool by mask band, alpha and, where the mask is warped, by what it covers."""
    flags = {flag.name for flags in label.mask_flag_enums for flag in flags}
    alphas = [n for n in range(1, label.count + 1) if is_alpha(label, n)]
    if aligned is not label:  # read as a band: of other than 8 bits GDAL takes no alpha for a mask
        return aligned.read(alphas[0] if alphas else aligned.count, window=window) > 0
    named = "alpha" in flags and set(alphas) & set(bands)
    if "per_dataset" not in flags or named:
        return np.ones(shape, bool)
    return label.dataset_mask(window=window) > 0


@contextmanager
def _on_grid(label: Any, path: str, image: str | None) -> Iterator[Any]:
    """The mask as it is where it has the image's grid, else seen through a warp onto it."""
    if image is None:
        yield label
        return
    with opened(image) as source:
        if not _needs_warp(label, source, path, image):
            yield label
            return
        warp = import_extra("rasterio.vrt", "geo").WarpedVRT
        with warp(
            label,
            crs=source.crs,
            transform=source.transform,
            width=source.width,
            height=source.height,
            # What is nodata is for the dataset's spec to say: alpha is what the mask covers.
            src_nodata=None,
            nodata=None,
            add_alpha=not any(is_alpha(label, n) for n in range(1, label.count + 1)),
        ) as aligned:
            yield aligned


def _needs_warp(label: Any, source: Any, path: str, image: str) -> bool:
    """ValueError where a warp is needed and cannot be."""
    placeless = label.crs is None or source.crs is None
    if label.shape == source.shape and (placeless or _same_place(label, source)):
        return False
    if placeless:
        raise ValueError(
            f"{path} is {label.height} x {label.width} pixels, its image {image} "
            f"{source.height} x {source.width}, and one of them has no CRS. Give both the same "
            "size, or both a georeference."
        )
    _check_overlap(label, source, path, image)
    return True


def _same_place(label: Any, image: Any) -> bool:
    pixel = abs(image.transform.a) or 1.0
    return label.crs == image.crs and label.transform.almost_equals(image.transform, pixel * 1e-3)


def _check_overlap(label: Any, source: Any, path: str, image: str) -> None:
    rasterio = import_extra("rasterio.warp", "geo")
    there = ordered_bounds(label)
    west, south, east, north = rasterio.transform_bounds(label.crs, source.crs, *there)
    left, bottom, right, top = own = ordered_bounds(source)
    if east <= left or west >= right or north <= bottom or south >= top:
        raise ValueError(
            f"{path} and its image {image} do not overlap: the mask lies at "
            f"{[round(v, 3) for v in (west, south, east, north)]}, the image at "
            f"{[round(v, 3) for v in own]} ({source.crs}). They do not belong together, or one of "
            "them has a wrong CRS."
        )
