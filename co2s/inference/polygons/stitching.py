"""Components that reach over the cuts between strips: one polygon each, with no seam.

A piece's ring runs along the cut where the component goes on in the next strip. There it is broken
into lines; those of all pieces, joined end to end, are the rings of the whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..products import NODATA
from .lines import Line, joined, lines_of, simple
from .outlines import passing
from .rings import Rings
from .strips import Strip


class Pieces(NamedTuple):
    """The components of a strip by their labels (h, W) int32, which go from 1 on.

    By label (count + 1,): class value, sum of the stored confidence, number of pixels that have
    one.
    """

    strip: Strip
    labels: np.ndarray
    values: np.ndarray
    totals: np.ndarray
    pixels: np.ndarray

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.values, self.totals, self.pixels

    def crossing(self) -> np.ndarray:
        """(count + 1,) bool: the labels of components that go on above or below the strip."""
        strip, found = self.strip, np.zeros(len(self.values), bool)
        found[self.labels[0][_goes_on(strip.above, strip.classes[0])]] = True
        found[self.labels[-1][_goes_on(strip.classes[-1], strip.below)]] = True
        return found


@dataclass
class Component:
    """What is known of a component: its class value, sums over its pixels, its border."""

    value: int
    total: float  # of the stored confidence
    pixels: int  # that have one
    lines: list[Line] = field(default_factory=list)
    closed: list[Rings] = field(default_factory=list)

    def absorb(self, other: "Component") -> None:
        """Take what is known of another part of the same component."""
        self.total += other.total
        self.pixels += other.pixels
        self.lines += other.lines
        self.closed += other.closed

    def rings(self) -> Rings:
        """All rings of the finished component."""
        rings = [ring for line in joined(self.lines) for ring in simple(line)]
        points = [part.points for part in self.closed] + rings
        lengths = [np.diff(part.offsets) for part in self.closed]
        lengths.append(np.array([len(ring) for ring in rings], np.int64))
        offsets = np.append(0, np.cumsum(np.concatenate(lengths)))
        owners = np.zeros(len(offsets) - 1, np.int64)
        return Rings(np.concatenate(points), offsets, owners).ordered()


class Unfinished:
    """The components that go on below the last strip."""

    def __init__(self) -> None:
        self._parts: dict[int, Component] = {}
        self._row = np.zeros(0, np.int64)  # which of them is in each pixel of the last row
        self._next = 1

    def add(self, pieces: Pieces, rings: Rings) -> Iterator[Component]:
        """Take the rings of a strip's pieces that cross its cuts; the components that end in it."""
        strip, labels = pieces.strip, pieces.labels
        numbers = np.zeros(len(pieces.values), np.int64)
        for label, part in _components(pieces, rings):
            self._parts[self._next], numbers[label] = part, self._next
            self._next += 1
        parents = {number: number for number in self._parts}
        goes_on = _goes_on(strip.above, strip.classes[0])
        if goes_on.any():
            pairs = np.stack([self._row[goes_on], numbers[labels[0][goes_on]]])
            for one, other in np.unique(pairs, axis=1).T.tolist():
                self._unite(parents, one, other)
        numbers[numbers > 0] = [_root(parents, number) for number in numbers.tolist() if number]
        goes_on = _goes_on(strip.classes[-1], strip.below)
        self._row = np.where(goes_on, numbers[labels[-1]], 0)
        for number in sorted(self._parts.keys() - set(self._row.tolist())):
            yield self._parts.pop(number)

    def _unite(self, parents: dict[int, int], one: int, other: int) -> None:
        one, other = _root(parents, one), _root(parents, other)
        if one == other:
            return
        if len(self._parts[one].lines) < len(self._parts[other].lines):
            one, other = other, one
        parents[other] = one
        self._parts[one].absorb(self._parts.pop(other))


def _root(parents: dict[int, int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _components(pieces: Pieces, rings: Rings) -> Iterator[tuple[int, Component]]:
    """The labels of the rings, each with what the strip holds of its component."""
    strip = pieces.strip
    is_inner = _inner(strip, rings)
    cuts = {strip.top: passing(strip.above, strip.classes[0])}
    cuts[strip.top + len(strip.classes)] = passing(strip.classes[-1], strip.below)
    broken = np.logical_or.reduceat(is_inner, rings.offsets[:-1]) if is_inner.size else is_inner
    for first, end in pairwise([*rings.firsts().tolist(), len(rings.owners)]):
        label = int(rings.owners[first])
        part = Component(*(column[label].item() for column in pieces.columns()))
        for ring in (first + np.flatnonzero(broken[first:end])).tolist():
            place = slice(rings.offsets[ring], rings.offsets[ring + 1])
            part.lines += lines_of(rings.points[place], is_inner[place], cuts)
        whole = first + np.flatnonzero(~broken[first:end])
        if whole.size:
            part.closed.append(rings.take(whole))
        yield label, part


def _goes_on(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return (upper == lower) & (upper != NODATA)


def _inner(strip: Strip, rings: Rings) -> np.ndarray:
    """(N,) bool: whether the side that begins at a point lies within a component, on a cut.

    Between two corners of a ring on a cut the classes above and below do not change.
    """
    inner = np.zeros(len(rings.points), bool)
    x, y = rings.points.T
    left = np.minimum(x[:-1], x[1:])
    for cut, upper, lower in (
        (strip.top, strip.above, strip.classes[0]),
        (strip.top + len(strip.classes), strip.classes[-1], strip.below),
    ):
        at = np.flatnonzero((y[:-1] == cut) & (y[1:] == cut) & (x[:-1] != x[1:]))
        inner[at] |= _goes_on(upper, lower)[left[at]]
    inner[rings.offsets[1:] - 1] = False  # a ring's last point begins no side
    return inner
