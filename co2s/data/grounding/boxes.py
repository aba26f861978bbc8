"""What is stored of one image: where some model sees which class, and what was asked for it."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..reading.rasters import Window

FORMAT = 1
EXAMPLE = '{"class": "building", "box": [12, 30, 80, 64], "score": 0.95}'


@dataclass(frozen=True)
class Box:
    """Where an image is said to show a class.

    corners: x0, y0, x1, y1 in pixels of the whole image, upright, from its upper left corner on;
    score: in (0, 1]; mask: the pixels inside that are meant, as COCO has outlines, in the pixels of
    what was looked at (the window, or the whole image); None: all of the box.
    """

    label: str
    corners: tuple[float, float, float, float]
    score: float
    mask: Any = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Box":
        """ValueError says what is wrong."""
        try:
            corners = tuple(float(place) for place in content["box"])
            score, label = float(content.get("score", 1.0)), content["class"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{content!r} is no box (at {error}). Write {EXAMPLE}.") from error
        x0, y0, x1, y1 = corners if len(corners) == 4 else (math.nan,) * 4
        if not (x0 < x1 and y0 < y1 and math.isfinite(x1 - x0 + y1 - y0)):
            raise ValueError(f"{content['box']} is no box; give x0 < x1 and y0 < y1, in pixels.")
        if not 0 < score <= 1 or not isinstance(label, str):
            raise ValueError(
                f"{content!r} needs a `class` by name, and a `score` above 0, up to 1."
            )
        return cls(label, (x0, y0, x1, y1), score, content.get("mask"))

    def to_dict(self) -> dict[str, Any]:
        content = {"class": self.label, "box": [*self.corners], "score": self.score}
        return content if self.mask is None else content | {"mask": self.mask}


@dataclass(frozen=True)
class Grounding:
    """The boxes of an image, or of a window of one.

    image_id and dataset: as records have them; sha256: of the image's file; size: its height and
    width; window: y, x, height and width of what was looked at; None: all of it. source: who said
    so, and to which question; classes: those that were asked for; dropped: what of the answers was
    of no use, and how often.
    """

    dataset: str
    image_id: str
    sha256: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    window: Window | None = None
    source: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def region(self) -> Window:
        """What was looked at: y, x, height, width."""
        return self.window or (0, 0, *self.size)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "format": FORMAT,
            "dataset": self.dataset,
            "image_id": self.image_id,
            "sha256": self.sha256,
            "size": [*self.size],
            "window": None if self.window is None else [*self.window],
            "source": self.source,
            "classes": [*self.classes],
            "boxes": [box.to_dict() for box in self.boxes],
            "dropped": self.dropped,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Grounding":
        """ValueError says what is missing or wrong."""
        try:
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']!r}; {FORMAT} is known here.")
            window = content.get("window")
            return cls(
                dataset=str(content["dataset"]),
                image_id=str(content["image_id"]),
                sha256=str(content["sha256"]),
                size=_whole(content["size"], 2),  # type: ignore[arg-type]
                boxes=tuple(Box.from_dict(box) for box in content["boxes"]),
                window=None if window is None else _whole(window, 4),  # type: ignore[arg-type]
                source=dict(content.get("source", {})),
                classes=tuple(content.get("classes", ())),
                dropped=dict(content.get("dropped", {})),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"it lacks something (at {error!r}). It needs format, dataset, image_id, sha256, "
                "size and boxes."
            ) from error


def load_grounding(path: Path) -> Grounding:
    """Read a file of `Grounding.to_dict`, once as long as it does not change.

    ValueError names the file and what is wrong in it.
    """
    about = os.stat(path)
    return _load(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4096)
def _load(path: Path, changed: int, size: int) -> Grounding:
    try:
        with open(path, "rb") as file:
            return Grounding.from_dict(json.loads(file.read()))
    except ValueError as error:  # of JSON, too
        raise ValueError(f"{path} holds no boxes of an image: {error}") from error


def _whole(values: Sequence[Any], count: int) -> tuple[int, ...]:
    """So many whole numbers."""
    found = tuple(int(value) for value in values)
    if len(found) != count or found != tuple(values):
        raise ValueError(f"{values!r} must be {count} whole numbers.")
    return found
