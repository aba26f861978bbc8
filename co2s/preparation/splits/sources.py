"""The samples of a folder, found by patterns of file names or as a dataset's spec says."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from co2s.data.patterns import Parts, match_pattern
from co2s.data.reading.formats import SUFFIXES as RASTER_SUFFIXES
from co2s.data.spec import DatasetSpec
from co2s.data.splits import read_list

# What counts as an image where a pattern leaves the suffix open: notes and thumbnails lie around.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", *RASTER_SUFFIXES)


@dataclass(frozen=True)
class Sample:
    """An image and its mask, as they stand in lists: relative to the root. None: no mask.

    `group`: what is kept together, by default the image alone.
    """

    image: str
    label: str | None = None
    group: str = ""


@dataclass(frozen=True)
class Source:
    """What lies under a root: samples, and the images of them that the spec lets validate.

    `val` None: the spec says nothing about it.
    """

    samples: tuple[Sample, ...]
    val: frozenset[str] | None = None


def from_patterns(root: Path, images: str, labels: str) -> Source:
    """Samples of the patterns; a `*` of `labels` is what the same `*` of `images` stands for."""
    if "**" in labels or "?" in labels:
        raise ValueError(
            f"--labels '{labels}' must say exactly where a mask is: *, or {{parts}} of --images."
        )
    return Source(tuple(sample for sample, _ in _matches(root, named(images), named(labels))))


def from_spec(spec: DatasetSpec, root: Path) -> Source:
    """Samples of the spec's layout (without one: the paper's), less those that it leaves out."""
    layout, splits = spec.layout, spec.splits
    if layout is None:
        return from_patterns(root, "images/*", "labels/*")
    if spec.labels.drawn_from is not None:
        raise ValueError(
            f"'{spec.name}' has the labels of all images in one file, and lists are made for "
            "masks: choose its samples in the YAML file (splits: fractions, val, seed)."
        )
    if layout.labels is None:
        raise ValueError(f"'{spec.name}' has no masks (layout.labels), so nothing can be labelled.")
    samples, val = [], set()
    for sample, parts in _matches(root, layout.images, layout.labels):
        validates = splits.val is not None and _selected(parts, splits.val)
        trains = not validates if splits.train is None else _selected(parts, splits.train)
        if validates:
            val.add(sample.image)
        if validates or trains:
            samples.append(sample)
    for pattern in layout.unlabeled:
        samples += [Sample(path, None, path) for path, _ in match_pattern(root, pattern)]
    return Source(tuple(samples), None if splits.val is None else frozenset(val))


def listed_samples(path: Path, root: Path) -> list[Sample]:
    """The samples of a split list; each must have a mask, and lie under root."""
    samples = []
    for image, label in read_list(path):
        if label is None:
            raise ValueError(f"{path}: {image} has no label beside it, so it cannot validate.")
        for name in (image, label):
            if not (root / name).is_file():
                raise FileNotFoundError(f"{path} lists {name}, which is not under {root}.")
        samples.append(Sample(Path(image).as_posix(), label, image))
    return samples


def named(pattern: str) -> str:
    """The pattern with its single stars as named parts: "images/{star1}.png" of "images/*.png"."""
    numbers = count(1)
    return re.sub(
        r"\*\*/|\*",
        lambda found: found[0] if found[0] == "**/" else f"{{star{next(numbers)}}}",
        pattern,
    )


def regrouped(samples: Iterable[Sample], groups: Iterable[str]) -> list[Sample]:
    """The same samples in other groups."""
    return [replace(s, group=group) for s, group in zip(samples, groups, strict=True)]


def _matches(root: Path, images: str, labels: str) -> list[tuple[Sample, Parts]]:
    """Sorted by name, so that every machine sees the same order."""
    if not root.is_dir():
        raise FileNotFoundError(f"The folder of the dataset is missing: {root}. Say --root.")
    pairs = []
    for image, parts in match_pattern(root, images):
        if images.endswith("}") and not image.lower().endswith(SUFFIXES):
            continue
        try:
            label = labels.format(**parts)
        except KeyError as error:
            raise ValueError(
                f"The pattern of masks '{labels}' uses {error}, which that of images '{images}' "
                "does not name."
            ) from None
        pairs.append((Sample(image, label if (root / label).is_file() else None, image), parts))
    if not pairs:
        names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
        there = ", ".join(names[:8]) or "nothing"
        raise FileNotFoundError(f"No image under {root} fits '{images}'. Found there: {there}.")
    if all(sample.label is None for sample, _ in pairs):
        first = labels.format(**pairs[0][1])
        raise FileNotFoundError(
            f"None of the {len(pairs)} images under {root} has a mask; that of {pairs[0][0].image} "
            f"should be {first}. Correct --labels, or `layout` in the dataset's YAML file."
        )
    return pairs


def _selected(parts: Parts, selection: dict[str, tuple[str, ...]]) -> bool:
    return all(parts[part] in values for part, values in selection.items())
