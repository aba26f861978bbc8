"""Masks: read place by place and counted, and what is wrong with them as files."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from co2s.data.reading.io import cut
from co2s.data.reading.labels import color_codes, read_values
from co2s.data.reading.rasters import Window, is_raster
from co2s.data.spec import DatasetSpec

from .findings import ERROR, INFO, WARNING, Finding, about, plural
from .headers import Problem, judge_remarks, said
from .lists import Pair
from .values import Counts, MaskFacts, Meaning, Tally, judge_values

# The encoding that a mask may be in by mistake.
OTHER = {"index": "color", "color": "index"}
PART = 1024  # side of the part of a raster that is tried in the other encoding, pixels

Reader = Callable[[Window | None], tuple[np.ndarray, np.ndarray]]  # raw values, where there are any


class MaskCount:
    """Counts the values of a mask, over its pieces; an error ends it, not the run."""

    def __init__(self, mask: MaskFacts, pair: Pair, spec: DatasetSpec) -> None:
        self.mask, self.pair, self.spec = mask, pair, spec
        self.tally = Tally(Meaning(spec, spec.labels.encoding))
        self.read: Reader | None = None

    def add(self, place: Window | None, valid: np.ndarray | None) -> None:
        """Count the values at a place (None: all), and per window those on valid pixels."""
        if self.mask.problem is not None:
            return
        try:
            self.read = self.read or _reader(self.pair, self.spec, self.spec.labels.encoding)
            values, known = self.read(place)
        except Exception as error:
            self.mask.problem = Problem("unreadable", said(error, self.mask.path))
            return
        self.tally.add(values[known])
        usable = known if valid is None else known & valid
        y, x = place[:2] if place else (0, 0)
        for window in self.pair.windows:
            self._count_part(window, (y, x), values, usable)

    def _count_part(
        self, window: Window | None, origin: tuple[int, int], values: np.ndarray, usable: np.ndarray
    ) -> None:
        """The classes in what the piece has of the window."""
        rows, columns = slice(None), slice(None)
        if window is not None:
            (y, x), (top, left, height, width) = origin, window
            rows = slice(max(top - y, 0), max(top + height - y, 0))
            columns = slice(max(left - x, 0), max(left + width - x, 0))
        part, counted = values[rows, columns], usable[rows, columns]
        if not counted.size:
            return
        classes = self.tally.classes(part[counted])
        classes[-1] += counted.size - int(counted.sum())
        self.mask.parts[window] = self.mask.parts.get(window, 0) + classes

    def close(self) -> None:
        """Fill in the counts; where they do not fit, those of the other encoding too."""
        if self.read is None and not _by_windows(self.pair, self.spec):
            self.add(None, None)  # the image could not be read: the mask can
        self.mask.counts = self.tally.counts
        self.mask.unknown, self.mask.unknown_pixels = self.tally.commonest_unknown()
        failed = self.mask.problem is not None
        if failed or self.mask.unknown_pixels:
            self.mask.other = self._other()
        if failed and self.mask.other:
            self.mask.problem, self.mask.refused = None, True
            self.mask.unknown_pixels = self.mask.unknown_pixels or self.mask.other.total()

    def _other(self) -> Counts:
        """The mask as colours where numbers are declared and the other way round, if it can be."""
        header, other = self.mask.header, OTHER.get(self.spec.labels.encoding)
        if header is None or other is None:
            return Counts()
        if header.kind == ("numbers" if other == "color" else "colours"):
            return Counts()
        tally = Tally(Meaning(self.spec, other))
        try:
            place = None
            if _by_windows(self.pair, self.spec):  # a part of a scene shows what it is
                place = (0, 0, min(PART, header.height), min(PART, header.width))
            values, known = _reader(self.pair, self.spec, other)(place)
            tally.add(values[known])
        except Exception:  # then it is not in the other encoding either
            return Counts()
        return tally.counts + Counts(dict(tally.commonest_unknown()[0]))


def _by_windows(pair: Pair, spec: DatasetSpec) -> bool:
    """Whether only the window that is asked for is read."""
    return spec.labels.encoding != "coco" and is_raster(pair.mask or "", None)


def _reader(pair: Pair, spec: DatasetSpec, encoding: str) -> Reader:
    """Reads places of a mask: raw numbers or colour codes (h, w), and where there are any."""
    assert pair.mask is not None
    mask, image = pair.mask, pair.image

    def read(place: Window | None) -> tuple[np.ndarray, np.ndarray]:
        values, known = read_values(mask, spec, image, place, encoding)
        return (color_codes(values) if encoding == "color" else values), known

    if _by_windows(pair, spec):
        return read
    values, known = read(None)

    def part(place: Window | None) -> tuple[np.ndarray, np.ndarray]:
        return cut(values, place), cut(known, place)

    return part


_PROBLEMS = {
    "unreadable": (
        "unreadable mask",
        "cannot be read",
        "Replace the files, or take their samples off the lists.",
    ),
    "size": (
        "size",
        "differ in size from the image",
        "Check that image and mask belong together, or give both a georeference.",
    ),
    "no overlap": (
        "no overlap",
        "do not overlap with the image",
        "Check that they belong together, and the CRS of both.",
    ),
}


def judge_masks(masks: Sequence[MaskFacts], spec: DatasetSpec) -> Iterator[Finding]:
    """Everything wrong with masks as files and as labels."""
    yield from _problems(masks)
    yield from _kinds(masks)
    yield from judge_remarks({m.name: m.header for m in masks if m.header}, masks=True)
    warped = [mask for mask in masks if mask.warp]
    if warped:
        yield about(
            WARNING,
            "warped",
            [mask.name for mask in warped],
            f"{plural(len(warped), 'mask')} on another grid than the image, brought onto it by "
            f"nearest neighbour; the first: {warped[0].warp}.",
        )
    yield from judge_values([mask for mask in masks if mask.problem is None], spec)


def _problems(masks: Sequence[MaskFacts]) -> Iterator[Finding]:
    """Masks of no use, by kind."""
    for kind, (name, words, fix) in _PROBLEMS.items():
        bad = [mask for mask in masks if mask.problem is not None and mask.problem.kind == kind]
        if bad and bad[0].problem is not None:
            message = f"{plural(len(bad), 'mask')} {words}: {bad[0].problem.text}"
            yield about(ERROR, name, [mask.name for mask in bad], message, fix)


def _kinds(masks: Sequence[MaskFacts]) -> Iterator[Finding]:
    kinds = Counter(mask.header.kind for mask in masks if mask.header is not None)
    if len(kinds) > 1:
        found = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common())
        rare = kinds.most_common()[-1][0]
        files = [mask.name for mask in masks if mask.header and mask.header.kind == rare]
        message = f"Masks are stored in different ways ({found}): harmless, all are decoded."
        yield about(INFO, "mixed masks", files, message)
