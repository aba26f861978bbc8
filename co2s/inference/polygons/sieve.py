"""The minimum mapping unit: small components of a class map go to a neighbour, in one pass.

The smallest component goes first, of equal ones that with the first pixel in reading order. It
takes the class with which it shares the longest border (of equal ones that of the lowest value) and
is one with its neighbours of that class. This is repeated until no component is too small; one that
has only nodata around it stays.

What happens to a component hangs on its neighbours alone, and only on those that go before it. So
it can be decided before the rest of the map is known, as long as it ends above the last row read
and no neighbour that goes before it is open. Rows wait for the open components in them, and the
result is that of the whole map at once, however the rows come.
"""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

import numpy as np

from ..products import NODATA
from .components import first_pixels, label_components


def sieved(strips: Iterable[np.ndarray], min_pixels: int) -> Iterator[np.ndarray]:
    """The strips (h, W) of a class map without components of less than `min_pixels`.

    The strips that come out are of other heights than those that go in.
    """
    rows = np.empty((0, 0), np.uint8)
    decided = 0  # rows at the top, 0 or 1, that were handed on and stay as a frame
    for strip, is_last in _with_end(strips):
        rows = np.concatenate([rows, strip]) if rows.size else strip.copy()
        final = _settle(rows, bool(decided), is_last, min_pixels)
        if final > decided:
            yield rows[decided:final].copy()
            rows, decided = rows[final - 1 :], 1


def _with_end(strips: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    held = None
    for strip in strips:
        if held is not None:
            yield held, False
        held = strip
    if held is not None:
        yield held, True


def _settle(rows: np.ndarray, is_framed: bool, is_last: bool, min_pixels: int) -> int:
    """Decide, in place, what can be decided; the number of rows that are final now."""
    labels, count = label_components(rows)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    if is_framed:  # its components were decided with that row
        sizes[labels[0]] = np.maximum(sizes[labels[0]], min_pixels)
    small = sizes < min_pixels
    small[0] = False
    if not small.any():
        return len(rows)
    first = first_pixels(labels, count)
    is_open = np.zeros(count + 1, bool)
    if not is_last:
        is_open[labels[-1]] = True
    values = rows.ravel()[first]
    merging = _Merging(sizes, first, values, is_open, _borders(labels, small), min_pixels)
    waiting = merging.run(np.flatnonzero(small).tolist())
    rows[:] = merging.final_values()[labels]
    return min(waiting) // rows.shape[1] if waiting else len(rows)


def _borders(labels: np.ndarray, small: np.ndarray) -> dict[int, dict[int, int]]:
    """For each small component the length of its border with each neighbour, in pixel sides."""
    found = []
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        at = np.nonzero(one != other)
        a, b = one[at].astype(np.int64), other[at].astype(np.int64)
        matter = (a > 0) & (b > 0) & (small[a] | small[b])
        a, b = a[matter], b[matter]
        found.append(np.minimum(a, b) * small.size + np.maximum(a, b))
    pairs, lengths = np.unique(np.concatenate(found), return_counts=True)
    borders: dict[int, dict[int, int]] = {label: {} for label in np.flatnonzero(small).tolist()}
    one, other = (pairs // small.size).tolist(), (pairs % small.size).tolist()
    for a, b, length in zip(one, other, lengths.tolist(), strict=True):
        if a in borders:
            borders[a][b] = length
        if b in borders:
            borders[b][a] = length
    return borders


class _Merging:
    """Components and their borders while small ones are merged into others."""

    def __init__(
        self,
        sizes: np.ndarray,
        first: np.ndarray,
        values: np.ndarray,
        is_open: np.ndarray,
        borders: dict[int, dict[int, int]],
        min_pixels: int,
    ) -> None:
        self.sizes, self.first = sizes.tolist(), first.tolist()
        self.values, self.is_open = values.tolist(), is_open.tolist()
        self.borders, self.min_pixels = borders, min_pixels
        self.parents: dict[int, int] = {}

    def run(self, small: list[int]) -> list[int]:
        """Merge what can be decided; the first pixels of the components that have to wait."""
        queue = [(self.sizes[label], self.first[label], label) for label in small]
        heapify(queue)
        waiting: set[int] = set()
        while queue:
            size, _, label = heappop(queue)
            if label in self.parents or size != self.sizes[label]:
                continue  # merged meanwhile, or grown and so in the queue anew
            borders = self._resolved(label)
            if self.is_open[label] or not waiting.isdisjoint(borders):
                waiting.add(label)
            elif borders:
                merged = self._merge(label, borders)
                if self.sizes[merged] < self.min_pixels:
                    heappush(queue, (self.sizes[merged], self.first[merged], merged))
        return [self.first[label] for label in waiting]

    def final_values(self) -> np.ndarray:
        """(count + 1,) uint8: the class value of each label."""
        values = np.array(self.values, np.uint8)
        values[0] = NODATA
        for label in self.parents:
            values[label] = self.values[self._root(label)]
        return values

    def _merge(self, label: int, borders: dict[int, int]) -> int:
        """Give a component to the class of its longest border; what became of it."""
        shared: dict[int, int] = {}
        for neighbour, length in borders.items():
            value = self.values[neighbour]
            shared[value] = shared.get(value, 0) + length
        taken = min(shared, key=lambda value: (-shared[value], value))
        joined = [neighbour for neighbour in borders if self.values[neighbour] == taken]
        root = max(joined, key=lambda neighbour: self.sizes[neighbour])
        for other in [label, *joined]:
            if other != root:
                self._join(other, root)
        return root

    def _join(self, label: int, root: int) -> None:
        self.parents[label] = root
        self.sizes[root] += self.sizes[label]
        self.first[root] = min(self.first[root], self.first[label])
        self.is_open[root] = self.is_open[root] or self.is_open[label]
        borders = self.borders.pop(label, {})
        if self.sizes[root] < self.min_pixels:
            own = self.borders[root]
            for neighbour, length in borders.items():
                own[neighbour] = own.get(neighbour, 0) + length

    def _resolved(self, label: int) -> dict[int, int]:
        """The borders of a component with what its neighbours are by now."""
        borders: dict[int, int] = {}
        for neighbour, length in self.borders[label].items():
            root = self._root(neighbour)
            if root != label:
                borders[root] = borders.get(root, 0) + length
        self.borders[label] = borders
        return borders

    def _root(self, label: int) -> int:
        root = label
        while root in self.parents:
            root = self.parents[root]
        while label != root:
            self.parents[label], label = root, self.parents[label]
        return root
