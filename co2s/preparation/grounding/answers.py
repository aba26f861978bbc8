"""Boxes in a language model's answer, which is JSON if all goes well; the rest is counted."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from co2s.data.grounding import Box

KEYS = ("bbox_2d", "bbox", "box")
# Why a part of an answer is dropped.
UNREADABLE = "unreadable or cut off"
NO_BOX = "no box of four numbers"
UNKNOWN = "unknown class"
OTHER = "another class than asked for"
OUTSIDE = "outside the image"
AGAIN = "said before"


class Frame(NamedTuple):
    """The sizes (height, width) that an answer is about: the image as the model saw it, and as it
    is."""

    seen: tuple[int, int]
    image: tuple[int, int]


def read_boxes(
    answer: str, asked: str, names: Mapping[str, str], frame: Frame, score: float
) -> tuple[list[Box], Counter[str]]:
    """The boxes of a class in an answer, in pixels of the image, and what was dropped, by reason.

    names: the class of each known word, as `known_names` has it; score: where the answer gives
    none. Swapped corners are put in order, and what lies beyond the image is cut off.
    """
    boxes: list[Box] = []
    dropped: Counter[str] = Counter()
    for entry in _entries(answer):
        found = UNREADABLE if entry is None else _box(entry, asked, names, frame, score)
        if isinstance(found, Box) and found in boxes:
            found = AGAIN
        if isinstance(found, Box):
            boxes.append(found)
        else:
            dropped[found] += 1
    return boxes, dropped


def known_names(classes: Sequence[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """The class that each word stands for: its name, or one of its concepts, in any case and
    number. classes: name and concepts of each. A word of two classes stands for the first."""
    words = {_plain(name): name for name, _ in reversed(classes)}
    for name, concepts in classes:
        for concept in concepts:
            words.setdefault(_plain(concept), name)
    return words


def _plain(word: str) -> str:
    word = " ".join(word.casefold().replace("_", " ").replace("-", " ").split())
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _entries(answer: str) -> Iterator[dict[str, Any] | None]:
    """The objects with a box, or with nothing inside, in a text; None for what cannot be read.

    Objects are looked for one by one, so that an answer which was cut off has all but its last.
    """
    decoder, place = json.JSONDecoder(), 0
    while (start := answer.find("{", place)) >= 0:
        try:
            content, place = decoder.raw_decode(answer, start)
        except (ValueError, RecursionError):
            place = start + 1
            after = answer.find("{", place)
            if after < 0 or "}" in answer[place:after]:
                yield None  # else it may be that what is inside can be read
            continue
        yield from _objects(content)


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, list):
        for part in content:
            yield from _objects(part)
    elif isinstance(content, dict):
        parts = [part for part in content.values() if isinstance(part, dict | list)]
        if any(key in content for key in KEYS) or not parts:
            yield content
        else:
            yield from _objects(parts)


def _box(
    entry: Mapping[str, Any], asked: str, names: Mapping[str, str], frame: Frame, score: float
) -> Box | str:
    """A box, or why it is none."""
    label = entry.get("label", asked)
    named = names.get(_plain(label)) if isinstance(label, str) else None
    corners = next((_numbers(entry[key]) for key in KEYS if key in entry), None)
    if corners is None:
        return NO_BOX
    if label != asked and named is None:
        return UNKNOWN
    if label != asked and named != asked:
        return OTHER
    (seen_height, seen_width), (height, width) = frame
    across, down = width / seen_width, height / seen_height
    x0, x1 = sorted(min(max(corners[i] * across, 0.0), width) for i in (0, 2))
    y0, y1 = sorted(min(max(corners[i] * down, 0.0), height) for i in (1, 3))
    if x1 - x0 < 1 or y1 - y0 < 1:
        return OUTSIDE
    own = entry.get("score", entry.get("confidence", score))
    valid = isinstance(own, int | float) and not isinstance(own, bool) and 0 < own <= 1
    rounded = tuple(round(place, 2) for place in (x0, y0, x1, y1))
    return Box(asked, rounded, float(own) if valid else score)  # type: ignore[arg-type]


def _numbers(values: Any) -> list[float] | None:
    """Four finite numbers; None for anything else."""
    if not isinstance(values, list) or len(values) != 4:
        return None
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return numbers if len(numbers) == 4 and all(map(math.isfinite, numbers)) else None
