"""Measuring: images and masks are opened once and read piece by piece.

Whatever a file does, its measurement comes back: with figures, or with the problem.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from co2s.data.reading.formats import is_raster
from co2s.data.reading.labels import ValueReader, color_codes, opened_values
from co2s.data.reading.rasters import Window
from co2s.data.spec import DatasetSpec

from .headers import Problem, fitting, image_problem, said, try_header
from .images import BLOCK, ImageFacts, ImageSums, decoded
from .lists import SampleList
from .masks import Counts, MaskFacts, Meaning, Tally

Piece = tuple[Window, np.ndarray | None]  # a place, and which of its pixels are valid (None: all)

# The encoding that a mask may be in by mistake.
OTHER = {"index": "color", "color": "index"}
PART = 1024  # side of the part of a raster that is tried in the other encoding, pixels


@dataclass(frozen=True)
class Pair:
    """An image, its mask (None: unlabelled) and the windows that samples take of them.

    `first`: no other pair has this image; statistics count an image once.
    """

    image: str
    mask: str | None
    windows: tuple[Window | None, ...]
    first: bool
    number: int


@dataclass
class Measurement:
    """The two halves of a pair; `mask` None: it is unlabelled. `partly`: not all was looked at."""

    image: ImageFacts
    mask: MaskFacts | None
    partly: bool = False


def pairs(lists: list[SampleList], absent: set[str]) -> list[Pair]:
    """Every image with every mask that it has in any list, once; without those in `absent`."""
    windows: dict[str, dict[str | None, set]] = defaultdict(lambda: defaultdict(set))
    for entry in lists:
        for record in entry.records:
            mask = record.get("sem_seg_file_name")
            windows[record["file_name"]][mask].add(record.get("window"))
    found: list[Pair] = []
    for image in sorted(set(windows) - absent):
        masks = sorted(mask for mask in windows[image] if mask and mask not in absent)
        todo: list[str | None] = [*masks] or [None]
        for mask in todo:
            places = sorted(windows[image][mask], key=lambda window: window or ())
            found.append(Pair(image, mask, tuple(places), mask == todo[0], len(found)))
    return found


def measure(pair: Pair, spec: DatasetSpec, quick: bool = False) -> Measurement:
    """All figures of a pair. quick: the image's header only, and of a mask what samples need."""
    cv2.setNumThreads(1)
    image = ImageFacts(pair.image)
    shared = spec.labels.drawn_from is not None
    mask = MaskFacts(pair.mask, pair.image if shared else pair.mask) if pair.mask else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files without a place on earth
        image.header, image.problem = try_header(pair.image, spec)
        if mask is not None:
            _open_mask(mask, image, spec)
        _walk(pair, image, mask, spec, quick)
    if image.header is not None and image.problem is None:
        image.problem = image_problem(pair.image, image.header, spec.raster)
    return Measurement(image, mask, partly=quick and _is_cut(pair, image, spec))


def _open_mask(mask: MaskFacts, image: ImageFacts, spec: DatasetSpec) -> None:
    """Header of the mask, and whether it fits its image."""
    mask.header, mask.problem = try_header(mask.path, spec, image.path)
    if mask.header is None or image.header is None:
        return
    mask.problem, mask.warp = fitting((image.path, image.header), (mask.path, mask.header), spec)


def _walk(
    pair: Pair, image: ImageFacts, mask: MaskFacts | None, spec: DatasetSpec, quick: bool
) -> None:
    """Go through the image's pieces, and through the same ones of its mask."""
    counting = None
    if mask is not None and mask.problem is None and mask.header is not None:
        counting = MaskCount(mask, pair, spec)
    pieces = _places(pair, image, spec) if quick else _pieces(pair, image, spec)
    try:
        for place, valid in pieces:
            if counting is not None:
                counting.add(place, valid)
    except Exception as error:  # whatever a damaged file makes a decoder raise
        image.problem = Problem("unreadable", said(error, image.path))
        image.bands, image.digest = {}, ""
    if counting is not None:
        counting.close()


def _is_cut(pair: Pair, image: ImageFacts, spec: DatasetSpec) -> bool:
    """Whether the sample is a whole raster of more than a block."""
    header = image.header
    large = header is not None and max(header.height, header.width) > BLOCK
    return large and None in pair.windows and is_raster(pair.image, spec.raster)


def _places(pair: Pair, image: ImageFacts, spec: DatasetSpec) -> Iterator[Piece]:
    """Places without a look at the image: of samples; of a whole raster a block in its middle."""
    if image.header is None:
        return
    height, width = image.header.height, image.header.width
    side = BLOCK if _is_cut(pair, image, spec) else max(height, width)
    h, w = min(height, side), min(width, side)
    for window in pair.windows:
        yield window or ((height - h) // 2, (width - w) // 2, h, w), None


def _pieces(pair: Pair, image: ImageFacts, spec: DatasetSpec) -> Iterator[Piece]:
    """Read the image piece by piece, into its facts."""
    if image.header is None:
        return
    sums = ImageSums(image, pair.number) if pair.first else None
    for place, bands, numbers, valid in decoded(image, spec.raster):
        if sums is not None:
            sums.add(bands, numbers, valid)
        yield place, None if valid.all() else valid
    if sums is not None:
        sums.close()


class MaskCount:
    """Counts the values of a mask, over its pieces; an error ends it, not the run."""

    def __init__(self, mask: MaskFacts, pair: Pair, spec: DatasetSpec) -> None:
        self.mask, self.pair, self.spec = mask, pair, spec
        self.tally = Tally(Meaning(spec, spec.labels.encoding))
        self._file = ExitStack()
        self._read: ValueReader | None = None

    def add(self, place: Window | None, valid: np.ndarray | None) -> None:
        """Count the values at a place (None: all), and per window those on valid pixels."""
        if self.mask.problem is not None:
            return
        try:
            if self._read is None:
                opening = _opened(self.pair, self.spec, self.spec.labels.encoding)
                self._read = self._file.enter_context(opening)
            values, known = self._read(place)
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
        if self._read is None and not _by_windows(self.pair, self.spec):
            self.add(None, None)  # the image could not be read: the mask can
        self._file.close()
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
            with _opened(self.pair, self.spec, other) as read:
                values, known = read(place)
            tally.add(values[known])
        except Exception:  # then it is not in the other encoding either
            return Counts()
        return tally.counts + Counts(dict(tally.commonest_unknown()[0]))


def _by_windows(pair: Pair, spec: DatasetSpec) -> bool:
    """Whether only the window that is asked for is read."""
    return spec.labels.drawn_from is None and is_raster(pair.mask or "", None)


@contextmanager
def _opened(pair: Pair, spec: DatasetSpec, encoding: str) -> Iterator[ValueReader]:
    """Places of a mask: raw numbers or colour codes (h, w), and where there are any."""
    assert pair.mask is not None
    with opened_values(pair.mask, spec, pair.image, encoding) as read:
        if encoding != "color":
            yield read
            return

        def codes(place: Window | None) -> tuple[np.ndarray, np.ndarray]:
            colors, known = read(place)
            return color_codes(colors), known

        yield codes
