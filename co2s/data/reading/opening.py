"""Opening pictures with Pillow: of any size, and with errors that name the file."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

_LOCK = threading.Lock()


def open_picture(source: str | BinaryIO) -> Image.Image:
    """`Image.open` without its limit.

    Pillow refuses more than 179 megapixels, as a guard against files made to fill the memory of a
    server; an orthophoto has as many.
    """
    with _LOCK:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def is_empty(path: str) -> bool:
    """Whether it is a file without a byte, as broken downloads leave them."""
    return os.path.isfile(path) and os.path.getsize(path) == 0


@contextmanager
def decoding(path: str, what: str) -> Iterator[None]:
    """Turn whatever a damaged file makes a decoder raise into a ValueError that names it."""
    try:
        yield
    except UnidentifiedImageError as error:  # its own words show an address in memory
        if is_empty(path):
            raise ValueError(f"{path} cannot be read as {what}: it is empty, 0 bytes.") from error
        raise ValueError(
            f"{path} cannot be read as {what}: Pillow does not know its content. Replace it by a "
            "PNG, JPEG or TIFF, or take it off the lists. Other rasters need pip install "
            "'co2s[geo]' and the suffix of their format."
        ) from error
    except MemoryError as error:
        raise ValueError(
            f"{path} cannot be read as {what}: decoded it does not fit into memory. Save it as a "
            "tiled GeoTIFF: of those only windows are read (pip install 'co2s[geo]')."
        ) from error
    except Exception as error:
        raise ValueError(f"{path} cannot be read as {what}: {error}") from error
