"""What a file is, by how it begins: a raster for rasterio, or a picture for OpenCV and Pillow."""

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from co2s.optional import import_extra

from ..spec.raster import RasterSpec
from .opening import open_picture

SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".jp2")

# How files begin: TIFF and BigTIFF, JPEG 2000, Erdas Imagine, GDAL's virtual ones.
_RASTERS = (
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"\0\0\0\x0cjP", b"\xffO\xffQ", b"EHFA_HEADER_TAG", b"<VRTDataset"),
)
_PNG, _JPEG = b"\x89PNG", b"\xff\xd8"
_PICTURES = (_PNG, _JPEG, b"BM", b"GIF8", b"RIFF")
# Larger pictures are read by windows: decoded whole they would not stay in memory.
_LARGE = 2**26  # pixels
_LARGE_JPEG = 2**22  # bytes, below which no JPEG holds as many


def is_raster(path: str, raster: RasterSpec | None) -> bool:
    """Whether rasterio reads the file: where the dataset has a `raster`, else by its content.

    That are rasters, and pictures too large to be decoded whole. Without rasterio Pillow reads
    everything.
    """
    if raster is not None:
        return True
    if not _has_rasterio():
        return False
    try:
        with open(path, "rb") as file:
            start = file.read(32)
    except OSError:  # not here, or a place that only GDAL knows
        start = b""
    if start.startswith(_PICTURES):
        return _is_large(path, start)
    return start.startswith(_RASTERS) or Path(path).suffix.lower() in _raster_suffixes()


@lru_cache(maxsize=1)
def _has_rasterio() -> bool:
    return find_spec("rasterio") is not None


@lru_cache(maxsize=1)
def _raster_suffixes() -> frozenset[str]:
    """Those of all formats that GDAL knows, but for pictures, which begin as such."""
    known = import_extra("rasterio.drivers", "geo").raster_driver_extensions()
    pictures = {"png", "jpg", "jpeg", "bmp", "gif", "webp"}
    return frozenset(f".{suffix}" for suffix in {*known} - pictures) | {*SUFFIXES}


def _is_large(path: str, start: bytes) -> bool:
    if start.startswith(_PNG):
        return int.from_bytes(start[16:20], "big") * int.from_bytes(start[20:24], "big") > _LARGE
    if not start.startswith(_JPEG) or os.path.getsize(path) < _LARGE_JPEG:
        return False
    with open_picture(path) as image:
        return image.width * image.height > _LARGE
