"""Splits: lists of samples, their names and sizes, and seeded nested choices of samples."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from fractions import Fraction
from itertools import zip_longest
from math import floor
from pathlib import Path

from .text import read_text


def read_list(path: Path) -> list[tuple[str, str | None]]:
    """Samples of a split list: (image, label or None), one line `images/NAME labels/NAME` each.

    A space separates the two, or a tab where names hold spaces (method section 4).
    FileNotFoundError where the list is missing, ValueError with the number of a senseless line and
    for a file that is no text (`read_text`).
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"The split list {path} is missing. Each line of it is `images/NAME labels/NAME`, "
            "or `images/NAME` for samples without a label."
        )
    samples = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        text = line.strip().replace("\\", "/")  # lists that Windows wrote
        columns = text.split("\t") if "\t" in line else text.split()
        if len(columns) > 2:
            raise ValueError(
                f"{path}, line {number}: expected an image and a label, found {len(columns)} "
                f"columns: {line!r}. Separate names that hold spaces by a tab."
            )
        samples.append((columns[0], columns[1] if len(columns) == 2 else None))
    return samples


def list_line(image: str, label: str | None = None) -> str:
    """The line of a split list that `read_list` takes apart again; ValueError where none can be."""
    names = [image] if label is None else [image, label]
    for name in names:
        if name != name.strip() or len(name.splitlines()) != 1 or {*"\t\\"} & {*name}:
            raise ValueError(
                f"The file name {name!r} cannot stand in a list: it holds a tab, a backslash or "
                "a line break, or begins or ends with a space. Rename the file."
            )
    if not any(len(name.split()) > 1 for name in names):
        return " ".join(names)
    return "\t".join(names) if label is not None else f"{image}\t"


def split_name(ratio: str) -> str:
    """ "1_8" of "1/8" (or of "1_8"): the split's name and folder."""
    name = ratio.strip().replace("/", "_")
    labeled_count(name, 1)
    return name


def validation_count(share: Fraction, available: int) -> int:
    """All but the floor of the rest: how the paper's training sets got their size (section 4)."""
    return available - floor(available * (1 - share))


def labeled_count(fraction: str, available: int) -> int:
    """floor(available * a / b) for the split name "a_b"."""
    match = re.fullmatch(r"(\d+)_(\d+)", fraction)
    if match is None or not 0 < int(match[1]) <= int(match[2]):
        raise ValueError(
            f'The split name "{fraction}" is no fraction: write "1_8" for one labelled sample '
            "in eight, or keep the samples in split lists."
        )
    return available * int(match[1]) // int(match[2])


def seeded_order(names: Sequence[str], seed: int) -> list[int]:
    """Positions in a random order that depends on seed and names alone.

    By hash, not by a generator: the same with every version of NumPy, and one name more or less
    moves no other.
    """

    def rank(position: int) -> bytes:
        text = f"{seed} {names[position]}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

    return sorted(range(len(names)), key=rank)


def nested_choice(
    names: Sequence[str], groups: Sequence[Hashable], count: int, seed: int
) -> set[int]:
    """Positions of `count` samples, spread evenly over their groups.

    `groups` holds each sample's group. With the same seed a smaller choice is contained in every
    larger one.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for position in seeded_order(names, seed):
        members[groups[position]].append(position)
    rounds = zip_longest(*members.values())
    order = [position for turn in rounds for position in turn if position is not None]
    return set(order[:count])
