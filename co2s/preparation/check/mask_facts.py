"""Reading a mask place by place and counting what it holds: whatever it does, the run goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from co2s.data.reading.alignment import read_label_raster
from co2s.data.reading.io import read_label
from co2s.data.reading.rasters import Window
from co2s.data.spec import DatasetSpec

from .counts import Counts, Meaning, Tally, color_codes
from .fitting import both_rasters
from .headers import Header, Problem, said
from .lists import Pair

PART = 1024  # side of the part of a raster that is tried in the other encoding, pixels

Reader = Callable[[Window | None], tuple[np.ndarray, np.ndarray]]  # raw values, where there are any


@dataclass
class MaskFacts:
    """What a mask holds, in the encoding that its spec declares.

    `other`: its values in the other encoding, where it does not fit the declared one. `parts`:
    pixels of each class, last of ignored ones, in each window. `warp`: how its grid differs.
    """

    path: str
    header: Header | None = None
    problem: Problem | None = None
    counts: Counts = field(default_factory=Counts)
    unknown: Counts = field(default_factory=Counts)
    unknown_pixels: int = 0
    other: Counts = field(default_factory=Counts)
    parts: dict[Window | None, np.ndarray] = field(default_factory=dict)
    warp: str = ""


class MaskCount:
    """Counts the values of a mask, over its pieces; an error ends it, not the run."""

    def __init__(self, mask: MaskFacts, pair: Pair, spec: DatasetSpec) -> None:
        self.mask, self.spec = mask, spec
        self.windows = pair.windows
        self.colors = spec.labels.encoding == "color"
        self.raster_of = pair.image if both_rasters(pair.image, mask.path, spec) else None
        self.tally = Tally(Meaning(spec, self.colors))
        self.read: Reader | None = None

    def add(self, place: Window | None, valid: np.ndarray | None) -> None:
        """Count the values at a place (None: all), and per window those on valid pixels."""
        if self.mask.problem is not None:
            return
        try:
            self.read = self.read or _reader(self.mask.path, self.colors, self.spec, self.raster_of)
            values, known = self.read(place)
        except Exception as error:
            self.mask.problem = Problem("unreadable", said(error, self.mask.path))
            return
        self.tally.add(values[known])
        usable = known if valid is None else known & valid
        y, x = place[:2] if place else (0, 0)
        for window in self.windows:
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
        if self.read is None and self.raster_of is None:
            self.add(None, None)  # the image could not be read: the mask can
        self.mask.counts = self.tally.counts
        self.mask.unknown, self.mask.unknown_pixels = self.tally.commonest_unknown()
        failed = self.mask.problem is not None
        if failed or self.mask.unknown_pixels:
            self.mask.other = self._other()
        if failed and self.mask.other:
            self.mask.problem = None
            self.mask.unknown_pixels = self.mask.unknown_pixels or self.mask.other.total()

    def _other(self) -> Counts:
        """The mask as colours where numbers are declared and the other way round, if it can be."""
        header = self.mask.header
        if header is None or header.kind == ("colours" if self.colors else "numbers"):
            return Counts()
        tally = Tally(Meaning(self.spec, not self.colors))
        try:
            place = None
            if self.raster_of is not None:  # a part of a scene shows what it is
                place = (0, 0, min(PART, header.height), min(PART, header.width))
            reader = _reader(self.mask.path, not self.colors, self.spec, self.raster_of)
            values, known = reader(place)
            tally.add(values[known])
        except Exception:  # then it is not in the other encoding either
            return Counts()
        return tally.counts + Counts(dict(tally.commonest_unknown()[0]))


def _reader(path: str, colors: bool, spec: DatasetSpec, image: str | None) -> Reader:
    """Reads places of a mask: raw numbers or colour codes (h, w), and where there are any."""
    if image is None:
        raw = read_label(path, "color" if colors else "index")
        values = color_codes(raw) if colors else raw

        def cut(place: Window | None) -> tuple[np.ndarray, np.ndarray]:
            y, x, height, width = place or (0, 0, *values.shape)
            part = values[y : y + height, x : x + width]
            return part, np.ones(part.shape, bool)

        return cut

    def warp(place: Window | None) -> tuple[np.ndarray, np.ndarray]:
        bands = (1, 2, 3) if colors else (spec.labels.band,)
        raw, known = read_label_raster(path, bands, image, place)
        return (color_codes(raw.transpose(1, 2, 0)) if colors else raw[0]), known

    return warp
