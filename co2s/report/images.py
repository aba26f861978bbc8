"""Images inside the page, as data URIs of a sensible size."""

import base64
import io
from typing import Any

from PIL import Image


def as_jpeg(picture: Image.Image, width: int) -> str:
    """A photograph as a data URI, at most so many pixels wide."""
    return _data_uri(_fitted(picture, width, Image.Resampling.LANCZOS), "JPEG", quality=85)


def as_png(picture: Image.Image, width: int) -> str:
    """The same of a picture of few colours, which stay as they are."""
    return _data_uri(_fitted(picture, width, Image.Resampling.NEAREST), "PNG", optimize=True)


def _fitted(picture: Image.Image, width: int, how: Image.Resampling) -> Image.Image:
    if picture.width <= width:
        return picture
    return picture.resize((width, max(round(picture.height * width / picture.width), 1)), how)


def _data_uri(picture: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
