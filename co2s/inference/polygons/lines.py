"""Lines that are left of rings which a cut has broken, and the rings that they make together."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Line(NamedTuple):
    """Part of a ring: points (N, 2); whether it ends on a cut that its border passes straight."""

    points: np.ndarray
    is_passing: bool


def lines_of(points: np.ndarray, inner: np.ndarray, cuts: dict[int, np.ndarray]) -> list[Line]:
    """The lines that are left of a closed ring without its inner sides."""
    breaks = np.flatnonzero(inner)
    points = np.concatenate([points[breaks[0] + 1 : -1], points[: breaks[0] + 1]])
    pieces = np.split(points, breaks[1:] - breaks[0])
    return [
        Line(piece, bool(cuts[int(piece[-1, 1])][piece[-1, 0]]))
        for piece in pieces
        if len(piece) > 1
    ]


def joined(lines: list[Line]) -> Iterator[np.ndarray]:
    """Rings (N, 2), not closed, of lines end to end."""
    begins = {tuple(line.points[0].tolist()): line for line in lines}
    while begins:
        start, line = begins.popitem()
        parts = [line]
        while (end := tuple(line.points[-1].tolist())) != start:
            line = begins.pop(end)
            parts.append(line)
        pairs = zip(parts, [*parts[1:], parts[0]], strict=True)
        yield np.concatenate([_body(*pair) for pair in pairs])


def _body(line: Line, following: Line) -> np.ndarray:
    """The points of a line after its first one, without an end that no border needs."""
    before, end, after = line.points[-2], line.points[-1], following.points[1]
    (ax, ay), (bx, by) = (end - before).tolist(), (after - end).tolist()
    is_straight = line.is_passing and ax * by == ay * bx
    return line.points[1:-1] if is_straight else line.points[1:]


def simple(ring: np.ndarray) -> Iterator[np.ndarray]:
    """Closed rings that touch themselves nowhere, of one (N, 2) that may."""
    codes = ring[:, 1].astype(np.int64) << 32 | ring[:, 0]
    if np.unique(codes).size == codes.size:
        yield _closed(ring)
        return
    places: dict[int, int] = {}
    path: list[int] = []
    all_codes = codes.tolist()
    for number, code in enumerate(all_codes):
        if code in places:
            loop = path[places[code] :]
            del path[places[code] :]
            for other in loop:
                del places[all_codes[other]]
            yield _closed(ring[loop])
        places[code] = len(path)
        path.append(number)
    yield _closed(ring[path])


def _closed(ring: np.ndarray) -> np.ndarray:
    return np.concatenate([ring, ring[:1]])
