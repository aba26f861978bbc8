"""Masks that are rasters: read on the pixel grid of their image, whatever their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from co2s.optional import import_extra

from .rasters import Window, opened, rasterio_window


def read_label_raster(
    path: str, bands: tuple[int, ...], image: str, window: Window | None
) -> tuple[np.ndarray, np.ndarray]:
    """A mask's raw bands (C, H, W) on the image's pixel grid, and where it has any (H, W) bool.

    A mask with another CRS or grid is brought onto the image's, nearest neighbour. ValueError
    where the two do not overlap.
    """
    with opened(path) as label, opened(image) as source, _on_grid(label, source, path) as aligned:
        place = rasterio_window(window)
        if len(bands) == 3 and label.count == 1 and (palette := _palette(label)) is not None:
            known = aligned.read_masks(1, window=place) > 0
            return palette[aligned.read(1, window=place)].transpose(2, 0, 1), known
        if max(bands) > label.count:
            raise ValueError(
                f"{path} has {label.count} bands; its dataset's `labels` ask for {list(bands)}."
            )
        known = aligned.read_masks(list(bands), window=place) > 0
        return aligned.read(list(bands), window=place), known.any(axis=0)


def _palette(label: Any) -> np.ndarray | None:
    """The colours (256, 3) uint8 of a palette raster, None where it has none."""
    try:
        colors = label.colormap(1)
    except ValueError:  # rasterio's word for: no palette
        return None
    palette = np.zeros((256, 3), np.uint8)
    for number, color in colors.items():
        palette[number] = color[:3]
    return palette


@contextmanager
def _on_grid(label: Any, image: Any, path: str) -> Iterator[Any]:
    """The mask as it is where it has the image's grid, else seen through a warp onto it."""
    same_size = label.shape == image.shape
    if same_size and (label.crs is None or image.crs is None or _same_place(label, image)):
        yield label
        return
    if label.crs is None or image.crs is None:
        raise ValueError(
            f"{path} is {label.height} x {label.width} pixels, its image {image.name} "
            f"{image.height} x {image.width}, and one of them has no CRS. Give both the same size, "
            "or both a georeference."
        )
    _check_overlap(label, image, path)
    warp = import_extra("rasterio.vrt", "geo").WarpedVRT
    with warp(
        label,
        crs=image.crs,
        transform=image.transform,
        width=image.width,
        height=image.height,
        add_alpha=label.nodata is None,
    ) as aligned:
        yield aligned


def _same_place(label: Any, image: Any) -> bool:
    pixel = abs(image.transform.a) or 1.0
    return label.crs == image.crs and label.transform.almost_equals(image.transform, pixel * 1e-3)


def _check_overlap(label: Any, image: Any, path: str) -> None:
    rasterio = import_extra("rasterio.warp", "geo")
    west, south, east, north = rasterio.transform_bounds(label.crs, image.crs, *label.bounds)
    own = image.bounds
    if east <= own.left or west >= own.right or north <= own.bottom or south >= own.top:
        raise ValueError(
            f"{path} and its image {image.name} do not overlap: the mask lies at "
            f"{[round(v, 3) for v in (west, south, east, north)]}, the image at "
            f"{[round(v, 3) for v in own]} ({image.crs}). They do not belong together, or one of "
            "them has a wrong CRS."
        )
