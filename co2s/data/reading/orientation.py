"""EXIF orientation: how a camera was held, and pixels turned upright as people see them."""

import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from .opening import open_picture

UPRIGHT = 1
_TAG = 0x0112
_PNG_START = b"\x89PNG\r\n\x1a\n"


def orientation(file: BinaryIO) -> int:
    """1..8 as EXIF counts; 1 (upright) where the file says nothing. No pixel is decoded."""
    file.seek(0)
    if file.read(8) == _PNG_START:
        found = _of_png(file)
    else:
        file.seek(0)
        try:
            with open_picture(file) as image:
                found = image.getexif().get(_TAG)
        except Exception:  # whatever a file that is no picture makes Pillow raise: it says nothing
            found = None
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT


def orientation_of(path: str) -> int:
    """The orientation of a file; 1 for one that cannot be opened."""
    try:
        with open(path, "rb") as file:
            return orientation(file)
    except OSError:
        return UPRIGHT


def is_on_its_side(orientation: int) -> bool:
    """Whether width and height change places."""
    return orientation >= 5


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """An array (H, W) or (H, W, C) as stored -> as it is meant to be seen."""
    if is_on_its_side(orientation):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _of_png(file: BinaryIO) -> int | None:
    """Pillow would decode the whole picture: the tag may stand behind the pixels."""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            exif = Image.Exif()
            exif.load(file.read(length))
            return exif.get(_TAG)
        file.seek(length + 4, 1)  # the chunk and its checksum
    return None
