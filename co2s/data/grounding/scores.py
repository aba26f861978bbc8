"""Boxes as maps: the score that each class has at each pixel."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..reading.coco import draw_outline
from ..reading.rasters import Window
from .boxes import Box, Grounding


def class_scores(found: Grounding, classes: Sequence[str], region: Window) -> dict[int, np.ndarray]:
    """For each class that is said to be in a region (y, x, height, width) its map (height, width).

    uint8: the largest score of its boxes there, of 255; 0: the class does not claim the pixel.
    A pixel is in a box where its centre is. ValueError for a class that is not among `classes`, and
    for a mask that cannot be drawn.
    """
    maps: dict[int, np.ndarray] = {}
    for box in found.boxes:
        if box.label not in classes:
            raise ValueError(
                f"it has a box of {box.label!r}, and the classes are {', '.join(classes)}."
            )
        where = _inside(box, found, region)
        if where is None:
            continue
        number = classes.index(box.label)
        place = maps.setdefault(number, np.zeros(region[2:], np.uint8))
        score = np.uint8(max(round(255 * box.score), 1))
        place[where] = np.maximum(place[where], score)
    return maps


def _inside(box: Box, found: Grounding, region: Window) -> Any:
    """An index of the region's pixels that a box means; None: it lies beside the region."""
    y, x, height, width = region
    x0, y0, x1, y1 = (round(place) for place in box.corners)
    top, bottom = (min(max(place - y, 0), height) for place in (y0, y1))
    left, right = (min(max(place - x, 0), width) for place in (x0, x1))
    if top >= bottom or left >= right:
        return None
    if box.mask is None:
        return np.s_[top:bottom, left:right]
    own_y, own_x, *size = found.region
    try:
        drawn = draw_outline(box.mask, (size[0], size[1]))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"the mask of a box of {box.label!r} cannot be drawn: {error}") from error
    # The box, in the pixels of the region and in those of the mask: equally large.
    down, along = y - own_y, x - own_x
    meant = np.zeros((height, width), bool)
    part = drawn[top + down : bottom + down, left + along : right + along]
    meant[top:bottom, left:right] = part
    return meant
