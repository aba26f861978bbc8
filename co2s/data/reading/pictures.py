"""Images from PNG, JPEG and whatever else OpenCV or Pillow decodes: RGB, upright, 8 bits."""

import io

import cv2
import numpy as np
from PIL import Image

from .opening import decoding, open_picture
from .orientation import UPRIGHT, is_on_its_side, orientation, upright

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"


def picture_size(path: str) -> tuple[int, int]:
    """Height and width in pixels, as the picture is seen; only the header is read."""
    with open(path, "rb") as file, decoding(path, "an image"):
        turned = is_on_its_side(orientation(file))
        file.seek(0)
        with open_picture(file) as image:
            if image.format == "TIFF":  # turned by some of Pillow's versions as it is opened
                image.load()
                turned = False
            width, height = image.size
    return (width, height) if turned else (height, width)


def read_picture(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3) uint8 RGB, and (H, W) bool: False where transparent; None where nothing is.

    Grey becomes three equal bands, a palette its colours. ValueError names a file that is damaged,
    cut off or not 8-bit.
    """
    content = file_content(path)
    image = _by_opencv(content)
    if image is None:
        return _by_pillow(path, content)
    if image.dtype != np.uint8:
        raise ValueError(_not_8_bits(path, str(image.dtype)))
    _refuse_cut_off(path, content)
    return _upright(*_rgb(image), orientation(io.BytesIO(content)))


def file_content(path: str) -> bytes:
    """All bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def _by_opencv(content: bytes) -> np.ndarray | None:
    """JPEG and PNG as stored, several times faster than Pillow; None where it cannot."""
    png = content.startswith(_PNG_START)
    if not png and not content.startswith(_JPEG_START):
        return None
    if png and b"tRNS" in content[: content.find(b"IDAT")]:
        return None  # of a grey picture it drops which grey is transparent
    try:
        # As stored: channels, depth and orientation are looked at here.
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # more than 2 ** 30 pixels
        return None


def _rgb(image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """RGB and validity of a grey, BGR or BGRA image."""
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), None
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGB), image[..., 3] > 0


def _by_pillow(path: str, content: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    with decoding(path, "an image"), open_picture(io.BytesIO(content)) as image:
        image.load()
        turn = orientation_of_loaded(image, content)
        mode = image.mode
        valid = None
        if image.has_transparency_data and not is_deep(image, content):
            image = image.convert("RGBA")
            valid = np.asarray(image)[..., 3] > 0
        deep = is_deep(image, content)
        rgb = None if deep else np.asarray(image.convert("RGB"))
    if rgb is None:
        raise ValueError(_not_8_bits(path, f"Pillow's mode {mode}"))
    return _upright(rgb, valid, turn)


def is_deep(image: Image.Image, content: bytes) -> bool:
    """Whether the numbers of a picture have more than 8 bits."""
    return image.mode[0] in "IF" or (content.startswith(_PNG_START) and content[24] > 8)


def orientation_of_loaded(image: Image.Image, content: bytes) -> int:
    """How its pixels still have to be turned; Pillow turns those of a TIFF itself."""
    return UPRIGHT if image.format == "TIFF" else orientation(io.BytesIO(content))


def _upright(
    rgb: np.ndarray, valid: np.ndarray | None, turn: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Both as they are meant to be seen; what is transparent becomes 0."""
    rgb = upright(rgb, turn)
    if valid is None or valid.all():
        return rgb, None
    valid = upright(valid, turn)
    return np.where(valid[..., None], rgb, np.uint8(0)), valid


def _not_8_bits(path: str, found: str) -> str:
    return (
        f"{path} has {found} pixels; models see 8 bits. Say in the dataset's YAML how to scale "
        "them, for instance `raster: {scale: {percentile: [2, 98]}}`; rasterio reads the file then "
        "(pip install 'co2s[geo]')."
    )


def _refuse_cut_off(path: str, content: bytes) -> None:
    """Decoders fill a cut-off JPEG or PNG with grey or black and say nothing."""
    tail = content[-64:].rstrip(b"\0")
    for start, end in ((_JPEG_START, _JPEG_END), (_PNG_START, _PNG_END)):
        if content.startswith(start) and not tail.endswith(end):
            try:  # something may follow the picture: only decoding it all tells
                with open_picture(io.BytesIO(content)) as image:
                    image.load()
            except (OSError, SyntaxError) as error:
                raise ValueError(f"{path} is cut off or damaged: {error}") from error
