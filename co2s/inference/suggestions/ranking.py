"""What to label next: windows of class maps, ranked by what labelling them would teach.

score = weighted mean of normalised ranks. The parts are the mean disagreement of the students, the
mean entropy (both, or the one that the maps have; 1 - confidence where they have neither), and
rarity: the mean of -log2(share of a pixel's class in all maps), in bits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..geotiff import gdal
from .footprints import Footprints
from .windows import ClassMap, MapWindows, measure_windows, open_maps, parts_of

RARITY = "rarity"
LEAST_VALID = 0.5  # share of a window's pixels that must have a class

Progress = Callable[[Sequence[ClassMap]], Iterable[ClassMap]]


@dataclass(frozen=True)
class Suggestion:
    """A window of a map (row, column, height, width in pixels), the best of which has rank 1.

    `score` and `ranks`: 0 to 1, highest first; `parts`: what was ranked.
    """

    rank: int
    map: ClassMap
    window: tuple[int, int, int, int]
    score: float
    parts: dict[str, float]
    ranks: dict[str, float]


@dataclass(frozen=True)
class Suggestions:
    """The chosen windows, best first. Windows that were looked at, and of those the ones that are
    mostly nodata or labelled already. `crs`: that of the first map, in which `footprints` are."""

    chosen: list[Suggestion]
    maps: list[ClassMap]
    footprints: Footprints
    seen: int
    empty: int
    labelled: int


def suggest(
    paths: Sequence[Path],
    count: int,
    side: int,
    weights: Mapping[str, float] | None = None,
    labelled: Sequence[Path] = (),
    progress: Progress = iter,
) -> Suggestions:
    """Choose `count` windows of `side` pixels, no two of which overlap or lie beside each other.

    weights: of the parts, by default 1 each; labelled: vector files whose polygons with a class say
    what need not be suggested. ValueError for maps that do not go together, for a weight of
    something else, and where nothing is left to suggest.
    """
    if count < 1 or side < 1:
        raise ValueError(f"Count and window must be 1 or more, found {count} and {side}.")
    maps = open_maps(paths)
    names = parts_of(maps)
    factors = _factors([*names, RARITY], weights or {})
    with gdal():
        measured = [measure_windows(one, side, names) for one in progress(maps)]
    usable = [found.valid >= LEAST_VALID for found in measured]
    seen, filled = sum(map(len, usable)), int(sum(mask.sum() for mask in usable))
    if not filled:
        raise ValueError(_nothing(seen, seen, 0))
    parts = _parts(measured, usable, names)
    places = [(m, n) for m, mask in enumerate(usable) for n in np.flatnonzero(mask).tolist()]
    ranks = {name: normalised_ranks(values) for name, values in parts.items()}
    columns = np.stack([ranks[name] for name in factors], axis=1)
    scores = columns @ np.array([*factors.values()]) / sum(factors.values())
    footprints = Footprints(maps, labelled)
    chosen: list[Suggestion] = []
    passed = 0
    for place in np.argsort(-np.round(scores, 9), kind="stable").tolist():
        number, row = places[place]
        window = tuple(measured[number].windows[row].tolist())
        if footprints.is_labelled(number, window):
            passed += 1
        elif footprints.take(number, window):
            here, own = ({k: float(v[place]) for k, v in d.items()} for d in (parts, ranks))
            score = float(scores[place])
            found = Suggestion(len(chosen) + 1, maps[number], window, score, here, own)
            chosen.append(found)
        if len(chosen) == count:
            break
    if not chosen:
        raise ValueError(_nothing(seen, seen - filled, passed))
    return Suggestions(chosen, maps, footprints, seen, seen - filled, passed)


def _nothing(seen: int, empty: int, labelled: int) -> str:
    return (
        f"Nothing to suggest: of {seen} windows {empty} are mostly nodata, and {labelled} are "
        "labelled. Choose a smaller --window, or other maps."
    )


def normalised_ranks(values: np.ndarray) -> np.ndarray:
    """(n,) 0 for the smallest value to 1 for the largest; equal ones share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    return (below + (counts - 1) / 2)[inverse] / max(len(values) - 1, 1)


def rarity(counts: np.ndarray, total: np.ndarray) -> np.ndarray:
    """(n,) mean bits of a pixel of each window: -log2 of its class's share in `total` (N,).

    counts (n, N): pixels of each class, at least one in each window.
    """
    shares = total / total.sum()
    bits = np.zeros(len(total))
    bits[total > 0] = -np.log2(shares[total > 0])
    return counts @ bits / counts.sum(axis=1)


def _parts(
    measured: Sequence[MapWindows], usable: Sequence[np.ndarray], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """The parts of every usable window, of one map after the other."""
    found = [*zip(measured, usable, strict=True)]
    counts = np.concatenate([one.counts[mask] for one, mask in found])
    # Of all windows: classes are as rare as they are, wherever nodata lies.
    total = np.sum([one.counts.sum(axis=0) for one in measured], axis=0)
    parts = {name: np.concatenate([one.means[name][mask] for one, mask in found]) for name in names}
    return parts | {RARITY: rarity(counts, total)}


def _factors(names: Sequence[str], weights: Mapping[str, float]) -> dict[str, float]:
    """The weight of each part; ValueError where one is of no part, negative, or all are 0."""
    unknown = sorted({*weights} - {*names})
    if unknown:
        raise ValueError(f"--weights of {unknown}, but the maps have {list(names)}.")
    factors = {name: float(weights.get(name, 1.0)) for name in names}
    if not all(0 <= factor < np.inf for factor in factors.values()) or not any(factors.values()):
        raise ValueError(f"--weights must be 0 or more, and one above 0; found {factors}.")
    return factors
