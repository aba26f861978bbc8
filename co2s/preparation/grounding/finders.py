"""Who says where an image shows a class: a model that is asked, or files that are given."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

import numpy as np

from co2s.data.grounding import Box
from co2s.data.reading.coco import draw_outline
from co2s.data.reading.io import cut, image_size
from co2s.data.records import Record
from co2s.data.spec import DatasetSpec
from co2s.files import file_digest

from .answers import OUTSIDE, Frame, known_names, read_boxes
from .prompts import PROMPT, question
from .qwen import Qwen
from .segmenter import Sam, encoded

EMPTY = "nothing found inside by the segmenter"


class Shown(NamedTuple):
    """A record and its pixels (H, W, 3) uint8, which are all that boxes are found in."""

    record: Record
    pixels: np.ndarray


Found = tuple[list[Box], Counter[str]]  # boxes in those pixels; what was dropped, by reason


class Finder(Protocol):
    """Says where images show classes."""

    def source(self, record: Record) -> dict[str, Any]:
        """What is stored of where a record's boxes come from: if it is the same they would be."""

    def find(self, images: Sequence[Shown]) -> list[Found]:
        """What each image shows."""


@dataclass
class Asked:
    """A vision-language model, asked for one class after another.

    classes: name and concepts of each; together: questions at once; score: of a box where the
    answer gives none.
    """

    model: Qwen
    classes: Sequence[tuple[str, Sequence[str]]]
    prompt: str = PROMPT
    score: float = 0.95
    segmenter: Sam | None = None
    together: int = 8

    def source(self, record: Record) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "version": self.model.version,
            "prompt": self.prompt,
            "score": self.score,
            "max_new_tokens": self.model.max_new_tokens,
            **about(self.segmenter),
        }

    def find(self, images: Sequence[Shown]) -> list[Found]:
        pairs = [(i, name, words) for i in range(len(images)) for name, words in self.classes]
        boxes: list[list[Box]] = [[] for _ in images]
        dropped: list[Counter[str]] = [Counter() for _ in images]
        names = known_names(self.classes)
        for start in range(0, len(pairs), self.together):
            part = pairs[start : start + self.together]
            pictures = [images[i].pixels for i, _, _ in part]
            questions = [question(name, words, self.prompt) for _, name, words in part]
            answers = self.model.ask(pictures, questions)
            for (i, name, _), answer in zip(part, answers, strict=True):
                height, width = images[i].pixels.shape[:2]
                frame = Frame(answer.seen, (height, width))
                found, lost = read_boxes(answer.text, name, names, frame, self.score)
                boxes[i] += found
                dropped[i] += lost
        return [
            outlined(self.segmenter, image.pixels, own, lost)
            for image, own, lost in zip(images, boxes, dropped, strict=True)
        ]


class Given:
    """Files of boxes: objects with `image_id` and `boxes`, one or a list of them in each.

    What tools/ground_classes.py writes is such a file. An image_id is the end of an image's path,
    or a window's name; boxes are in pixels of the whole image. ValueError for what is no such file,
    for a class that is not among `classes`, and for an image that none of them lists.
    """

    def __init__(
        self,
        files: Sequence[Path],
        classes: Sequence[str],
        specs: Mapping[str, DatasetSpec],
        segmenter: Sam | None = None,
    ) -> None:
        self.specs, self.segmenter = specs, segmenter
        self._entries: dict[str, tuple[dict[str, Any], list[Box]]] = {}
        for path in files:
            origin = {"file": path.name, "sha256": file_digest(path)}
            for content in _contents(path):
                try:
                    name = PurePosixPath(content["image_id"]).as_posix()
                    boxes = [Box.from_dict(box) for box in content["boxes"]]
                except (KeyError, TypeError, ValueError) as error:
                    raise ValueError(
                        f"{path} holds no boxes of images (at {error}). It needs objects with "
                        "`image_id` and `boxes`, one or a list of them."
                    ) from error
                if unknown := {box.label for box in boxes} - {*classes}:
                    raise ValueError(
                        f"{path}: {name} has boxes of {', '.join(sorted(unknown))}; the classes "
                        f"are {', '.join(classes)}."
                    )
                if name in self._entries:
                    raise ValueError(f"{path}: the boxes of {name} are given twice.")
                model = dict(content.get("source", {})).get("model", "given")
                self._entries[name] = ({"model": model, **origin}, boxes)

    def source(self, record: Record) -> dict[str, Any]:
        return self._entries[self._name(record)][0] | about(self.segmenter)

    def find(self, images: Sequence[Shown]) -> list[Found]:
        return [self._found(image) for image in images]

    def _found(self, image: Shown) -> Found:
        """The boxes in the image's pixels."""
        name, dropped = self._name(image.record), Counter[str]()
        boxes = self._entries[name][1]
        y, x, *_ = image.record.get("window", (0, 0))
        height, width = image.pixels.shape[:2]
        found = []
        for box in boxes:
            x0, y0, x1, y1 = box.corners
            left, right = (min(max(place - x, 0.0), width) for place in (x0, x1))
            top, bottom = (min(max(place - y, 0.0), height) for place in (y0, y1))
            if right - left < 1 or bottom - top < 1:
                dropped[OUTSIDE] += "window" not in image.record
                continue
            mask = box.mask
            if mask is not None and "window" in image.record and name != image.record["image_id"]:
                mask = self._cut(mask, image.record)
            found.append(replace(box, corners=(left, top, right, bottom), mask=mask))
        return outlined(self.segmenter, image.pixels, found, +dropped)

    def _cut(self, mask: Any, record: Record) -> dict[str, Any]:
        """A mask of the whole image, as one of the record's window."""
        size = image_size(record["file_name"], self.specs[record["dataset"]].raster)
        try:
            return encoded(cut(draw_outline(mask, size), record["window"]))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"--boxes-from: a mask of {record['file_name']} cannot be drawn: {error}"
            ) from error

    def _name(self, record: Record) -> str:
        """What the files call a record, or the image that it is a window of."""
        name = record["image_id"]
        whole = name.rpartition("@")[0] if "window" in record else ""
        path = PurePosixPath(record["file_name"].replace("\\", "/")).parts
        ends = ["/".join(path[i:]) for i in range(len(path))]
        for known in (name, whole, *ends):
            if known in self._entries:
                return known
        raise ValueError(f"--boxes-from: none of the files lists {name}.")


def about(segmenter: Sam | None) -> dict[str, Any]:
    """What is stored of a segmenter."""
    if segmenter is None:
        return {}
    return {"segmenter": segmenter.name, "segmenter_version": segmenter.version}


def outlined(
    segmenter: Sam | None, pixels: np.ndarray, boxes: Sequence[Box], dropped: Counter[str]
) -> Found:
    """The boxes with masks, where there is a segmenter, without those that it finds empty."""
    if segmenter is None or not boxes:
        return [*boxes], dropped
    found = []
    for box, mask in zip(boxes, segmenter.masks(pixels, boxes), strict=True):
        x0, y0, x1, y1 = (round(place) for place in box.corners)
        if mask[y0:y1, x0:x1].any():
            found.append(replace(box, mask=encoded(mask)))
        else:
            dropped[EMPTY] += 1
    return found, dropped


def _contents(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    found = content if isinstance(content, list) else [content]
    if not all(isinstance(part, dict) for part in found):
        raise ValueError(f"{path} must hold objects with `image_id` and `boxes`.")
    return found
