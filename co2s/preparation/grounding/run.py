"""Grounding of a list of images: what is there stays, what is missing is found and stored."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from co2s.data.grounding import Box, Grounding, grounding_path, load_grounding
from co2s.data.grounding.store import digests
from co2s.data.reading.io import image_size
from co2s.data.reading.samples import load_image
from co2s.data.records import Record
from co2s.data.spec import DatasetSpec
from co2s.files import write_json

from .finders import Finder, Shown

Progress = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Summary:
    """What lies in the folder afterwards: `made` now, or `there` before."""

    made: int
    there: int
    boxes: Counter[str]  # by class
    dropped: Counter[str]  # by reason
    bare: int  # images without any box


def ground(
    records: Sequence[Record],
    specs: Mapping[str, DatasetSpec],
    output: Path,
    classes: Sequence[str],
    finder: Finder,
    *,
    overwrite: bool = False,
    together: int = 4,
    progress: Progress = lambda parts, total: parts,
) -> Summary:
    """Store the boxes of every record under `output`; each file is whole or not there.

    together: images that the finder looks at at once. Boxes of the same image, source and classes
    are not found again; others are replaced with `overwrite`, else ValueError names them.
    """
    digest = digests(records)
    there, todo, others = [], [], []
    for record in records:
        empty = _empty(record, specs[record["dataset"]], digest, finder.source(record), classes)
        path = grounding_path(output, record["dataset"], record["image_id"])
        found = load_grounding(path) if path.is_file() else None
        if found is not None and _alike(found, empty):
            there.append(found)
            continue
        others += [(path, found, empty)] if found is not None else []
        todo.append((record, empty, path))
    if others and not overwrite:
        raise ValueError(_refusal(others, len(records)))
    made: list[Grounding] = []
    parts = [todo[i : i + together] for i in range(0, len(todo), together)]
    for part in progress(parts, len(parts)):
        made += _made(part, finder, specs)
    return _summary(made, there)


def _made(
    part: Sequence[tuple[Record, Grounding, Path]], finder: Finder, specs: Mapping[str, DatasetSpec]
) -> list[Grounding]:
    """Find and store the boxes of some records."""
    images = [Shown(record, _look(record, specs)) for record, _, _ in part]
    made = []
    for (_, empty, path), (boxes, dropped) in zip(part, finder.find(images), strict=True):
        y, x, *_ = empty.region
        placed = tuple(_moved(box, y, x) for box in boxes)
        made.append(replace(empty, boxes=placed, dropped=dict(dropped)))
        write_json(path, made[-1].to_dict())
    return made


def _look(record: Record, specs: Mapping[str, DatasetSpec]) -> np.ndarray:
    """(H, W, 3) uint8: the first three bands, or the only one three times."""
    bands = load_image(record, specs[record["dataset"]].raster).bands
    return bands[..., :3] if bands.shape[2] >= 3 else bands[..., [0, 0, 0]]


def _moved(box: Box, y: int, x: int) -> Box:
    """From pixels of a window to those of its image."""
    x0, y0, x1, y1 = box.corners
    return replace(box, corners=(x0 + x, y0 + y, x1 + x, y1 + y))


def _empty(
    record: Record,
    spec: DatasetSpec,
    digest: Mapping[str, str],
    source: dict[str, Any],
    classes: Sequence[str],
) -> Grounding:
    """All that is known before anything is found."""
    path, window = record["file_name"], record.get("window")
    return Grounding(
        dataset=record["dataset"],
        image_id=record["image_id"],
        sha256=digest[path],
        size=image_size(path, spec.raster),
        boxes=(),
        window=None if window is None else tuple(window),
        source=source,
        classes=tuple(classes),
    )


def _alike(found: Grounding, wanted: Grounding) -> bool:
    return replace(found, boxes=(), dropped={}) == wanted


def _refusal(others: Sequence[tuple[Path, Grounding, Grounding]], total: int) -> str:
    path, found, wanted = others[0]
    one, two = found.to_dict(), wanted.to_dict()
    pairs = {
        f"source.{k}": (one["source"].get(k), two["source"].get(k))
        for k in {*one["source"], *two["source"]}
    }
    pairs |= {k: (one[k], two[k]) for k in one if k not in ("source", "boxes", "dropped")}
    lines = [f"{key}: {old!r}, now {new!r}" for key, (old, new) in pairs.items() if old != new]
    return (
        f"{len(others)} of {total} images have boxes that are made from something else, the first "
        f"{path}:\n  " + "\n  ".join(sorted(lines)) + "\nGive another --output, or --overwrite to "
        "replace them."
    )


def _summary(made: Sequence[Grounding], there: Sequence[Grounding]) -> Summary:
    every = [*made, *there]
    boxes = Counter(box.label for one in every for box in one.boxes)
    dropped: Counter[str] = Counter()
    for one in every:
        dropped.update(one.dropped)
    return Summary(len(made), len(there), boxes, dropped, sum(not one.boxes for one in every))
