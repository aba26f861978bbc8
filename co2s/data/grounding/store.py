"""A folder of stored boxes: a file for each image, or for each window of one, by its name."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from co2s.d2 import comm
from co2s.files import file_digest

from ..reading.io import image_size
from ..reading.rasters import Window
from ..records import Record
from ..spec import DatasetSpec
from .boxes import Grounding, load_grounding
from .scores import class_scores

logger = logging.getLogger(__name__)

LABELS = "labels"  # the source of boxes that are made from the truth
ADVICE = "tools/ground_classes.py makes them"


def grounding_path(folder: Path, dataset: str, image_id: str) -> Path:
    """Where the boxes of a record lie: folders and name are the image's, so that scenes whose tiles
    have the same names do not meet."""
    parts = (part.replace(":", "_") for part in PurePosixPath(image_id).parts if part != "/")
    inner = ["__" if part == ".." else part for part in parts]
    path = Path(folder, dataset, *inner)
    return path.with_name(f"{path.name}.json")


class StoredBoxes:
    """The boxes of a folder, for the classes of a training."""

    def __init__(self, folder: str | Path, classes: Sequence[str]) -> None:
        self.folder, self.classes = Path(folder), [*classes]

    def path(self, record: Record) -> Path:
        """The file of a record, or of the whole image that it is a window of.

        FileNotFoundError where there is neither.
        """
        names = [record["image_id"]]
        if "window" in record:
            names.append(record["image_id"].rpartition("@")[0])
        paths = [grounding_path(self.folder, record["dataset"], name) for name in names]
        for path in paths:
            if path.is_file():
                return path
        raise FileNotFoundError(f"{record['image_id']} has no boxes: {paths[0]} is missing.")

    def scores(self, record: Record, size: tuple[int, int]) -> dict[int, np.ndarray]:
        """The map of each class that is said to be in a record of that size: `class_scores`."""
        path = self.path(record)
        try:
            return class_scores(load_grounding(path), self.classes, _region(record, size))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def check(self, records: Sequence[Record], specs: Mapping[str, DatasetSpec]) -> None:
        """ValueError unless every record has boxes, and they are of this very image.

        Reads all images, for their digests; processes share them out. Says in the log what there
        is. To be called by all processes.
        """
        own = records[comm.get_rank() :: comm.get_world_size()]
        parts = comm.all_gather(self._check(own, specs))
        faults = [fault for part in parts for fault in part[0]]
        if faults:
            raise ValueError(
                f"MODEL.PURIFIER.BOXES {self.folder}: {len(faults)} of {len(records)} unlabelled "
                f"images have no boxes of their own ({ADVICE}):\n  " + "\n  ".join(faults[:3])
            )
        counts = sum((part[1] for part in parts), Counter[str]())
        self._tell(len(records), counts, {name for part in parts for name in part[2]})

    def _check(
        self, records: Sequence[Record], specs: Mapping[str, DatasetSpec]
    ) -> tuple[list[str], Counter[str], set[str]]:
        """What is wrong; how many boxes of each class there are; which models they are of."""
        faults, counts, models = [], Counter[str](), set[str]()
        known = digests(records)
        for record in records:
            try:
                found = self._checked(record, specs[record["dataset"]], known)
            except (ValueError, FileNotFoundError) as error:
                faults.append(str(error))
                continue
            counts.update(box.label for box in found.boxes)
            models.add(str(found.source.get("model", "?")))
        return faults, counts, models

    def _checked(self, record: Record, spec: DatasetSpec, known: Mapping[str, str]) -> Grounding:
        """The boxes of a record; ValueError where they are not of its image, or cannot be drawn."""
        path = self.path(record)
        found, image = load_grounding(path), record["file_name"]
        size = image_size(image, spec.raster)
        if found.size != size:
            raise ValueError(
                f"{path} is of an image of {found.size[0]} x {found.size[1]} pixels, {image} is "
                f"{size[0]} x {size[1]}."
            )
        if found.sha256 != known[image]:
            raise ValueError(f"{path} is of another image than {image}: its SHA-256 differs.")
        if found.window is not None and found.window != tuple(record.get("window", ())):
            raise ValueError(
                f"{path} is of the window {found.window}, the record of "
                f"{record.get('window', 'the whole image')}."
            )
        window = record.get("window")
        self.scores(record, size if window is None else (window[2], window[3]))
        return found

    def _tell(self, images: int, counts: Mapping[str, int], models: set[str]) -> None:
        logger.info(
            "Boxes of %d images from %s, by %s: %s",
            *(images, self.folder, ", ".join(sorted(models))),
            ", ".join(f"{name} {counts[name]}" for name in self.classes),
        )
        if LABELS in models:
            logger.warning(
                "The boxes in %s are made from the labels of these images: what is trained with "
                "them is an upper bound, and no semi-supervised result.",
                self.folder,
            )


def digests(records: Sequence[Record]) -> dict[str, str]:
    """The SHA-256 of each record's image, by its path; files are read side by side."""
    paths = [*dict.fromkeys(record["file_name"] for record in records)]
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(paths, pool.map(file_digest, paths), strict=True))


def _region(record: Record, size: tuple[int, int]) -> Window:
    """What a record shows of its image, whose size is that of the record: y, x, height, width."""
    y, x, *_ = record.get("window", (0, 0))
    return (y, x, *size)
