"""Masks from PNG, JPEG and whatever else OpenCV or Pillow decodes: numbers or colours, upright."""

import io

import cv2
import numpy as np
from PIL import Image

from .opening import decoding, open_picture
from .orientation import upright
from .pictures import file_content, is_deep, orientation_of_loaded
from .raw_mask import RawMask, holds_colors, holds_numbers, known_or_none, lacks_band

_ALPHA = ("LA", "PA", "RGBA")
_PLAIN = ("1", "L", "P", "RGB", *_ALPHA)


def read_picture_mask(path: str, encoding: str, band: int | None = None) -> RawMask:
    """The mask of a picture: `encoding` "index" or "color", `band` from 1 on of "index".

    A palette gives its numbers or its colours, as asked; three equal bands are numbers. ValueError
    names a file that is damaged or does not hold what it should.
    """
    content = file_content(path)
    with decoding(path, "a mask"), open_picture(io.BytesIO(content)) as image:
        image.load()
        turn = orientation_of_loaded(image, content)
        picture = image if image.mode in _PLAIN or image.mode[0] in "IF" else _plain(image)
        deep = is_deep(picture, content)
        bands = _bands(picture, content)
        colors = None if deep or encoding == "index" else _colors(picture)
        known = _known(picture, bands)
    if encoding == "color" and deep:
        raise holds_numbers(path, str(bands.dtype))
    alpha = picture.mode in _ALPHA
    if colors is None and alpha and band == bands.shape[2]:
        known = None  # the dataset reads alpha as numbers
    values = _numbers(path, bands, alpha, band) if colors is None else colors
    known = None if known is None else known_or_none(upright(known, turn))
    return RawMask(upright(values, turn), known)


def _plain(image: Image.Image) -> Image.Image:
    """CMYK, YCbCr and the like as RGB, premultiplied alpha as plain."""
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _colors(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8; what is transparent keeps its colour."""
    whole = "RGBA" if image.has_transparency_data else "RGB"
    return np.asarray(image.convert(whole))[..., :3]


def _bands(image: Image.Image, content: bytes) -> np.ndarray:
    """(H, W, C) as stored, alpha last."""
    if image.mode in (*_ALPHA, "RGB") and is_deep(image, content):
        # Pillow keeps the upper 8 of 16 bits only.
        wide = np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED))
        return wide[..., [2, 1, 0, 3][: wide.shape[2]]]
    values = np.asarray(image)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    elif image.mode == "L" and image.format == "PNG" and content[24] < 8:
        values = values // (255 // (2 ** content[24] - 1))  # Pillow spreads 2 and 4 bits to 8
    return values.reshape(*values.shape[:2], -1)


def _known(image: Image.Image, bands: np.ndarray) -> np.ndarray | None:
    """(H, W) bool: where the mask is not transparent."""
    if not image.has_transparency_data:
        return None
    if image.mode in _ALPHA:
        return bands[..., -1] > 0
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.mode != "P":
        return bands[..., 0] != (min(clear, 1) if image.mode == "1" else clear)
    return np.asarray(image.convert("RGBA"))[..., 3] > 0


def _numbers(path: str, bands: np.ndarray, alpha: bool, band: int | None) -> np.ndarray:
    """(H, W): the band that is asked for, else the only one or that of equal ones."""
    if band is not None:
        if band > bands.shape[2]:
            raise lacks_band(path, bands.shape[2], band)
        return bands[..., band - 1]
    plain = bands[..., :-1] if alpha else bands
    if (plain != plain[..., :1]).any():
        raise holds_colors(path)
    return plain[..., 0]
