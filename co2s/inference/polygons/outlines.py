"""The outlines of the components of a strip, as rings of pixel corners.

A corner where nothing but a straight border passes is left out, by a rule that looks at classes
only. So two polygons have the same corners along the border that they share, which makes the
polygons of a map a coverage.
"""

from typing import NamedTuple

import numpy as np

from ..products import NODATA
from .rings import Rings
from .strips import Strip

EAST, SOUTH, WEST, NORTH = range(4)


class Edges(NamedTuple):
    """Directed edges between corners, with the pixels of their owner on the right.

    tails, heads (E,): numbers of corners; owners: labels; ways: EAST to NORTH. Those to the east
    come first.
    """

    tails: np.ndarray
    heads: np.ndarray
    owners: np.ndarray
    ways: np.ndarray


def outlines(strip: Strip, labels: np.ndarray) -> Rings:
    """The rings of each label (h, W), whose numbers are the owners.

    Shells and holes touch themselves nowhere. The strip's first and last row bound its components.
    """
    y, x = np.nonzero(_corners(strip))
    edges = _edges(np.pad(labels, 1), y, x)
    order, offsets = _cycles(_following(edges, y.size), int((edges.ways == EAST).sum()))
    points = np.stack([x, y + strip.top], axis=1).astype(np.int32)[edges.tails[order]]
    return Rings(points, offsets, edges.owners[order[offsets[:-1]]]).ordered()


def passing(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """(W + 1,) of two rows: the corners between them that a vertical border passes straight."""
    rows = np.pad(np.stack([upper, lower]), ((0, 0), (1, 1)), constant_values=NODATA)
    same = rows[0] == rows[1]
    return (rows[:, 1:] != rows[:, :-1]).any(axis=0) & same[1:] & same[:-1]


def _corners(strip: Strip) -> np.ndarray:
    """(h + 1, W + 1) bool: the corners of pixels at which rings may turn or meet."""
    rows = np.vstack([strip.above, strip.classes, strip.below])
    rows = np.pad(rows, ((0, 0), (1, 1)), constant_values=NODATA)
    changes_along = rows[:, 1:] != rows[:, :-1]
    changes_down = rows[1:] != rows[:-1]
    corners = changes_along[1:] | changes_along[:-1]
    corners[1:-1] &= (changes_down[:, 1:] | changes_down[:, :-1])[1:-1]
    return corners


def _edges(labels: np.ndarray, y: np.ndarray, x: np.ndarray) -> Edges:
    """The edges between corners (y, x), given row by row; labels (h + 2, W + 2): framed by 0."""
    number = np.arange(y.size)
    right = np.minimum(number + 1, y.size - 1)
    by_column = np.lexsort((y, x))
    below = number.copy()
    below[by_column[:-1]] = by_column[1:]
    above_right, below_right, below_left = labels[y, x + 1], labels[y + 1, x + 1], labels[y + 1, x]
    across, along = above_right != below_right, below_left != below_right
    kinds = []
    for way, tail, head, owner, exists in (
        (EAST, number, right, below_right, across),
        (SOUTH, number, below, below_left, along),
        (WEST, right, number, above_right, across),
        (NORTH, below, number, below_right, along),
    ):
        keep = exists & (owner > 0)
        kinds.append((tail[keep], head[keep], owner[keep], np.full(keep.sum(), way)))
    return Edges(*(np.concatenate(columns) for columns in zip(*kinds, strict=True)))


def _following(edges: Edges, corners: int) -> np.ndarray:
    """The edge that comes after each edge on its ring.

    Where a component meets itself across a corner there are two: turning left keeps the shell and
    the hole apart.
    """
    tails, heads, owners, ways = edges
    leaving = np.full((4, corners), -1, np.int32)
    leaving[ways, tails] = np.arange(tails.size)
    left, right = leaving[(ways - 1) % 4, heads], leaving[(ways + 1) % 4, heads]
    straight = leaving[ways, heads]
    is_left, is_straight = ((edge >= 0) & (owners[edge] == owners) for edge in (left, straight))
    return np.where(is_left, left, np.where(is_straight, straight, right))


def _cycles(following: np.ndarray, starts: int) -> tuple[np.ndarray, np.ndarray]:
    """The edges ring by ring, each ring closed by its first one again, and where rings begin.

    starts: the first so many edges are of such a way that every ring has one of them.
    """
    after = following.tolist()
    seen = bytearray(len(after))
    order: list[int] = []
    offsets = [0]
    for start in range(starts):
        if seen[start]:
            continue
        edge = start
        while not seen[edge]:
            seen[edge] = 1
            order.append(edge)
            edge = after[edge]
        order.append(start)
        offsets.append(len(order))
    return np.array(order, np.int64), np.array(offsets)
