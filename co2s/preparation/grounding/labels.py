"""Boxes made from the labels themselves: an upper bound of what boxes can do, and no method."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from co2s.data.grounding import Box
from co2s.data.grounding.store import LABELS
from co2s.data.reading.samples import load_classes, load_image
from co2s.data.records import Record
from co2s.data.spec import DatasetSpec

from .finders import Found, Shown
from .segmenter import encoded

SMALL = "smaller than the least area"


class FromLabels:
    """A box around every connected part of a class that has some area.

    masks: the label file of an image, by dataset and image_id, where its record names none;
    least_area: in pixels; score: of every box; outlines: whether the parts are masks, too.
    ValueError for an image without a label.
    """

    def __init__(
        self,
        masks: Mapping[tuple[str, str], str],
        specs: Mapping[str, DatasetSpec],
        least_area: int = 64,
        score: float = 0.95,
        outlines: bool = False,
    ) -> None:
        self.masks, self.specs = masks, specs
        self.least_area, self.score, self.outlines = least_area, score, outlines

    def source(self, record: Record) -> dict[str, Any]:
        self._labelled(record)
        return {
            "model": LABELS,
            "note": "made from the labels of this image: an upper bound, no method",
            "least_area": self.least_area,
            "score": self.score,
            "outlines": self.outlines,
        }

    def find(self, images: Sequence[Shown]) -> list[Found]:
        return [self._found(image.record) for image in images]

    def _found(self, record: Record) -> Found:
        spec = self.specs[record["dataset"]]
        classes = load_classes(self._labelled(record), spec, load_image(record, spec.raster))
        boxes, dropped = [], Counter[str]()
        for number, name in enumerate(spec.class_names):
            own = (classes == number).astype(np.uint8)
            _, parts, statistics, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
            for part, (x, y, width, height, area) in enumerate(statistics.tolist()[1:], start=1):
                if area < self.least_area:
                    dropped[SMALL] += 1
                    continue
                mask = encoded(parts == part) if self.outlines else None
                corners = (float(x), float(y), float(x + width), float(y + height))
                boxes.append(Box(name, corners, self.score, mask))
        return boxes, dropped

    def _labelled(self, record: Record) -> Record:
        if "sem_seg_file_name" in record:
            return record
        mask = self.masks.get((record["dataset"], record["image_id"]))
        if mask is None:
            raise ValueError(
                f"--boxes-from-labels: no mask lies there for {record['image_id']}. It is for "
                "datasets whose unlabelled images have hidden labels."
            )
        return {**record, "sem_seg_file_name": mask}
