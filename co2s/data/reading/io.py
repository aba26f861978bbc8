"""Reading images and masks from disk, with errors that name the file."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

# An image cut into windows is asked for many times: the last ones decoded stay in memory.
CACHE_BYTES = 256 * 2**20

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"


def read_image(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3) uint8 RGB, and (H, W) bool: False where transparent; None where nothing is.

    ValueError names a file that is damaged, cut off or not 8-bit.
    """
    content = _content(path)
    # As stored: channels, depth and orientation are looked at here.
    image = (
        cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    )
    if image is None:
        raise ValueError(f"{path} cannot be read as an image. Replace it or take it off the lists.")
    if image.dtype != np.uint8:
        raise ValueError(
            f"{path} has {image.dtype} pixels; models see 8 bits. Say in the dataset's YAML how to "
            "scale them, for instance `raster: {scale: {percentile: [2, 98]}}`; rasterio reads the "
            "file then (pip install 'co2s[geo]')."
        )
    _refuse_cut_off(path, content)
    return _rgb(image)


def _rgb(image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """RGB and validity of a grey, BGR or BGRA image; what is transparent becomes 0."""
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), None
    rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGB)
    if image.shape[2] == 3 or image[..., 3].all():
        return rgb, None
    valid = image[..., 3] > 0
    rgb[~valid] = 0
    return rgb, valid


def read_label(path: str, encoding: str) -> np.ndarray:
    """Raw mask values: (H, W) numbers for "index", (H, W, 3) uint8 RGB colours for "color".

    Palette images give their numbers or their colours, as asked. ValueError names a file that
    cannot be read or holds colours where numbers are expected.
    """
    content = _content(path)
    try:
        with Image.open(io.BytesIO(content)) as image:
            if encoding == "color":
                return np.asarray(image.convert("RGB"))
            values = np.asarray(image)
    except (OSError, SyntaxError) as error:  # Pillow reports broken PNG chunks as SyntaxError
        raise ValueError(f"{path} cannot be read as a mask: {error}") from error
    if values.ndim == 3:
        if (values[..., :3] != values[..., :1]).any():
            raise ValueError(
                f"{path} holds RGB colours, but the dataset's spec says `encoding: index`. "
                "Say `encoding: color` if every class has its own colour."
            )
        values = values[..., 0]
    return values.astype(np.int64) if values.dtype == bool else values


class DecodeCache(threading.local):
    """Decoded arrays, up to a number of bytes; each thread and process has its own."""

    def __init__(self, max_bytes: int = CACHE_BYTES, evict: bool = True) -> None:
        """evict: whether new arrays drive out those used least lately, or the first ones stay."""
        self.max_bytes = max_bytes
        self.evict = evict
        self._arrays: OrderedDict[tuple, tuple] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple, decode: Callable[[], tuple]) -> tuple:
        """The arrays (some may be None) of that key, decoded where they are not at hand.

        They are read-only.
        """
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        arrays = decode()
        for array in arrays:
            if array is not None:
                array.setflags(write=False)
        if not self.evict and self._bytes + _nbytes(arrays) > self.max_bytes:
            return arrays
        self._arrays[key] = arrays
        self._bytes += _nbytes(arrays)
        while self._bytes > self.max_bytes:
            self._bytes -= _nbytes(self._arrays.popitem(last=False)[1])
        return arrays


def _nbytes(arrays: tuple) -> int:
    return sum(array.nbytes for array in arrays if array is not None)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _refuse_cut_off(path: str, content: bytes) -> None:
    """Decoders fill a cut-off JPEG or PNG with grey or black and say nothing."""
    tail = content[-64:].rstrip(b"\0")
    for start, end in ((_JPEG_START, _JPEG_END), (_PNG_START, _PNG_END)):
        if content.startswith(start) and not tail.endswith(end):
            try:  # something may follow the picture: only decoding it all tells
                with Image.open(io.BytesIO(content)) as image:
                    image.load()
            except (OSError, SyntaxError) as error:
                raise ValueError(f"{path} is cut off or damaged: {error}") from error
