"""Who validates and who is labelled: seeded, nested, and with every class where it can be."""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from co2s.data.splits import seeded_order


def choose_validation(groups: Sequence[str], count: int, seed: int) -> set[str]:
    """Whole groups with about `count` samples together; `groups` holds each sample's.

    A group joins where that brings the number closer to `count`. ValueError where nothing would
    be left for training.
    """
    sizes = Counter(groups)
    names = sorted(sizes)
    if len(names) < 2:
        raise ValueError(
            f"All {len(groups)} labelled images are one group, '{names[0]}': it cannot be on both "
            "sides of train and val. Correct --scene, choose smaller --blocks, or group nothing."
        )
    chosen: set[str] = set()
    total = 0
    for position in seeded_order(names, seed):
        size = sizes[names[position]]
        if abs(total + size - count) < abs(total - count) and len(chosen) < len(names) - 1:
            chosen.add(names[position])
            total += size
    return chosen or {min(names, key=lambda name: (sizes[name], name))}


def labeling_order(names: Sequence[str], counts: np.ndarray | None, seed: int) -> list[int]:
    """Positions in the order of labelling: every beginning of it is a labelled set.

    `counts` (N, C) are pixels of each class; with them a greedy cover of all classes comes first,
    so that even the shortest list shows as many classes as it can. None: random from the start.
    """
    order = seeded_order(names, seed)
    if counts is None:
        return order
    cover = [order[row] for row in greedy_cover(counts[order])]
    taken = set(cover)
    return cover + [position for position in order if position not in taken]


def greedy_cover(counts: np.ndarray) -> list[int]:
    """Rows of (N, C) that show every class together: each adds the most that are still missing.

    Of several the one that shows more of them well (at least as much as the median row that has
    the class), then the earlier one.
    """
    present = counts > 0
    typical = np.array(
        [np.median(column[column > 0]) if column.any() else 0 for column in counts.T]
    )
    well = present & (counts >= typical)
    missing = present.any(axis=0)
    rows = []
    while missing.any():
        new, good = (present & missing).sum(axis=1), (well & missing).sum(axis=1)
        best = int((new * (counts.shape[1] + 1) + good).argmax())
        rows.append(best)
        missing &= ~present[best]
    return rows


def take_units(sizes: Sequence[int], count: int) -> int:
    """How many units from the start hold `count` samples, or come closest to it; at least one."""
    totals = np.cumsum(sizes)
    return int(np.abs(totals - count).argmin()) + 1


def units_of(groups: Sequence[Hashable], whole: bool) -> list[list[int]]:
    """Positions that are labelled together: every sample alone, or whole groups in sorted order."""
    if not whole:
        return [[position] for position in range(len(groups))]
    members: dict[Hashable, list[int]] = {}
    for position, group in enumerate(groups):
        members.setdefault(group, []).append(position)
    return list(members.values())
