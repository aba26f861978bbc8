"""Splits: list files of samples, and seeded nested choices of labelled samples."""

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np


def read_list(path: Path) -> list[tuple[str, str | None]]:
    """Samples of a list file: (image, label or None), one line `images/NAME labels/NAME` each.

    A space separates the two, or a tab where names hold spaces (method section 4).
    FileNotFoundError where the list is missing, ValueError with the number of a senseless line.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"The split list {path} is missing. Each line of it is `images/NAME labels/NAME`, "
            "or `images/NAME` for samples without a label."
        )
    samples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        columns = line.strip().split("\t") if "\t" in line else line.split()
        if len(columns) > 2:
            raise ValueError(
                f"{path}, line {number}: expected an image and a label, found {len(columns)} "
                f"columns: {line!r}. Separate names that hold spaces by a tab."
            )
        samples.append((columns[0], columns[1] if len(columns) == 2 else None))
    return samples


def labeled_count(fraction: str, available: int) -> int:
    """floor(available * a / b) for the split name "a_b"."""
    match = re.fullmatch(r"(\d+)_(\d+)", fraction)
    if match is None or not 0 < int(match[1]) <= int(match[2]):
        raise ValueError(
            f'The split name "{fraction}" is no fraction: write "1_8" for one labelled sample '
            "in eight, or keep the split in list files."
        )
    return available * int(match[1]) // int(match[2])


def nested_choice(groups: Sequence[Hashable], count: int, seed: int) -> set[int]:
    """Positions of `count` samples, dealt evenly over their groups.

    `groups` holds each sample's group. With the same seed a smaller choice is contained in every
    larger one.
    """
    rng = np.random.default_rng(seed)
    members: dict[Hashable, list[int]] = defaultdict(list)
    for position in rng.permutation(len(groups)):
        members[groups[position]].append(int(position))
    rounds = zip_longest(*members.values())
    order = [position for deal in rounds for position in deal if position is not None]
    return set(order[:count])
