"""Masks from a COCO annotation file: the outlines of objects, drawn as classes.

Outlines are polygons or run-length encodings (RLE), plain or compressed, crowds included; see "COCO
annotations" in docs/add_a_dataset.md.
"""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from co2s.structures import IGNORE_LABEL

from ..spec import DatasetSpec

# A corner may lie beyond the border, but pycocotools walks along every edge, however long.
FAR = 10  # sides of the image


@dataclass(frozen=True)
class AnnotatedImage:
    """An image of an annotation file: size in pixels, and its annotations in their order."""

    file_name: str
    height: int
    width: int
    annotations: list[dict] = field(default_factory=list)


@dataclass(frozen=True)
class Annotations:
    """An annotation file: its images by the last part of their names, category names by id."""

    path: str
    categories: dict[int, str]
    images: dict[str, list[AnnotatedImage]]

    def find(self, image: str) -> AnnotatedImage | None:
        """The entry whose `file_name` is the end of the image's path; the longest one of several.

        None where the file does not list the image.
        """
        parts = PurePosixPath(image.replace("\\", "/")).parts
        fitting = [
            (len(own), entry)
            for entry in self.images.get(parts[-1], [])
            if (own := _parts(entry.file_name)) == parts[-len(own) :]
        ]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def load_annotations(path: str) -> Annotations:
    """Read an annotation file, once as long as it does not change. ValueError names what is wrong
    in it."""
    about = os.stat(path)
    return _load(path, about.st_mtime_ns, about.st_size)


def check_listed(annotations: Annotations, images: Sequence[str], all_of_them: bool) -> None:
    """ValueError where an annotation file does not fit the images of a dataset: it lists none of
    them (or, `all_of_them`, not all), or one of its entries may be either of two."""
    found: dict[str, str] = {}
    for image in images:
        entry = annotations.find(image)
        if entry is None and all_of_them:
            raise ValueError(
                f"{annotations.path} does not list {image}, which splits.val selects: an image "
                "without labels cannot validate."
            )
        if entry is not None and found.setdefault(entry.file_name, image) != image:
            raise ValueError(
                f"{annotations.path}: '{entry.file_name}' may be {found[entry.file_name]} or "
                f"{image}. Give its `file_name` with the folders that tell them apart."
            )
    if images and not found:
        listed = [entry.file_name for group in annotations.images.values() for entry in group]
        raise ValueError(
            f"{annotations.path} lists none of the {len(images)} images: it has {listed[:1]}, the "
            f"dataset {images[0]}. A `file_name` must be the end of an image's path."
        )


def annotated(path: str, image: str | None) -> AnnotatedImage:
    """The entry of an image in an annotation file; ValueError where it has none."""
    entry = None if image is None else load_annotations(path).find(image)
    if entry is None:
        raise ValueError(f"{path} lists no image {image}: it has no labels.")
    return entry


def read_annotated(path: str, spec: DatasetSpec, image: str | None) -> np.ndarray:
    """(H, W) uint8 classes of an image: later annotations over earlier ones.

    What no outline covers is `labels.background`, or 255 = ignore. ValueError names a category
    without a class, an outline that cannot be drawn, and an image that the file does not list.
    """
    known, entry = load_annotations(path), annotated(path, image)
    background = spec.labels.background
    fill = IGNORE_LABEL if background is None else spec.class_names.index(background)
    classes = np.full((entry.height, entry.width), fill, np.uint8)
    size = (entry.height, entry.width)
    for annotation in entry.annotations:
        number = _class_of(annotation, known, spec)
        try:
            classes[draw_outline(annotation.get("segmentation"), size)] = number
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path}: the annotation {annotation.get('id')} of {entry.file_name} cannot be "
                f"drawn: {error}"
            ) from error
    return classes


def _class_of(annotation: dict, known: Annotations, spec: DatasetSpec) -> int:
    """The class number of an annotation's category, 255 for ignored ones."""
    category, labels = annotation.get("category_id"), spec.labels
    name = known.categories.get(category) if isinstance(category, int) else None
    if category in labels.ignore:
        return IGNORE_LABEL
    if labels.map is not None and category in labels.map:
        return labels.map[category]
    if labels.map is None and name in spec.class_names:
        return spec.class_names.index(name)
    way = "names" if labels.map is None else "`labels.map`"
    raise ValueError(
        f"{known.path}: the annotation {annotation.get('id')} has the category {category} "
        f"({name!r}), which stands for none of the {len(spec.classes)} classes of '{spec.name}' by "
        f"{way}: {', '.join(spec.class_names)}. Say `map: {{{category}: <class number>}}` or "
        f"`ignore: [{category}]` in `labels`."
    )


def draw_outline(outline: Any, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool of polygons [[x, y, x, y, ...], ...] or of an RLE {size, counts}.

    size: H, W. ValueError, TypeError or KeyError says what cannot be drawn.
    """
    reach = FAR * max(size)
    if isinstance(outline, list) and outline:
        for polygon in outline:
            if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
                raise ValueError(f"a polygon needs three corners x, y at least, found {polygon!r}.")
            if not all(abs(float(place)) <= reach for place in polygon):  # NaN is not, either
                raise ValueError(f"a polygon lies far from the image {list(size)}: {polygon!r}.")
        runs = coco_mask.merge(coco_mask.frPyObjects(outline, *size))
    elif isinstance(outline, dict):
        if tuple(outline["size"]) != size:
            raise ValueError(f"its RLE has the size {outline['size']}, the image {list(size)}.")
        counts = outline["counts"]
        counts = counts if isinstance(counts, list) else _unpacked(counts)
        if sum(counts) != size[0] * size[1] or min(counts, default=0) < 0:
            raise ValueError("its RLE does not add up to the pixels of the image.")
        runs = coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    else:
        raise ValueError(
            f"it has no outline, found {outline!r}. Boxes alone do not say which pixels are meant: "
            "export polygons or RLE."
        )
    return coco_mask.decode(runs).astype(bool)


def _unpacked(counts: str) -> list[int]:
    """The runs of a compressed RLE: five bits a character, from the third on as differences to the
    run before the last. pycocotools reads on past the end of a damaged one."""
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


@lru_cache(maxsize=8)
def _load(path: str, changed: int, size: int) -> Annotations:
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
        categories = {entry["id"]: entry["name"] for entry in content["categories"]}
        by_id = {
            entry["id"]: AnnotatedImage(
                entry["file_name"], int(entry["height"]), int(entry["width"])
            )
            for entry in content["images"]
        }
        for entry in by_id.values():
            if min(entry.height, entry.width) < 1:
                raise ValueError(f"{entry.height} x {entry.width} for {entry.file_name}")
        for annotation in content["annotations"]:
            by_id[annotation["image_id"]].annotations.append(annotation)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no COCO annotation file of objects (at {error}). It needs `images` with "
            "id, file_name, height and width, `annotations` with image_id, category_id and "
            "segmentation, and `categories` with id and name."
        ) from error
    images = defaultdict(list)
    for entry in by_id.values():
        images[_parts(entry.file_name)[-1]].append(entry)
    for group in images.values():
        names = [_parts(entry.file_name) for entry in group]
        if len(set(names)) < len(names):
            raise ValueError(f"{path} lists an image twice: {group[0].file_name}.")
    return Annotations(path, categories, dict(images))


def _parts(file_name: str) -> tuple[str, ...]:
    return PurePosixPath(file_name.replace("\\", "/")).parts
