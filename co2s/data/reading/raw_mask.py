"""RawMask: what a mask holds before its numbers or colours are given a meaning."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RawMask:
    """Values (H, W) of any number type, or (H, W, 3) uint8 RGB colours, and where they count.

    `known` (H, W) bool: False where the mask is transparent, masked or says nothing; None: it
    counts everywhere. `nodata`: the number that the header calls nodata. Its pixels are not left
    out of `known`: where the dataset's spec declares that number, it is data.
    """

    values: np.ndarray
    known: np.ndarray | None = None
    nodata: float | None = None


def holds_colors(path: str) -> ValueError:
    """The error for colours where numbers are declared."""
    return ValueError(
        f"{path} holds RGB colours, but the dataset's spec says `encoding: index`. Say "
        "`encoding: color` if every class has its own colour, or `band: N` if one band holds the "
        "numbers."
    )


def holds_numbers(path: str, dtype: str) -> ValueError:
    """The error for wide numbers where colours are declared."""
    return ValueError(
        f"{path} holds {dtype} numbers, but the dataset's spec says `encoding: color`, and colours "
        "have 8 bits. Say `encoding: index` if the numbers are classes."
    )


def lacks_band(path: str, count: int, band: int) -> ValueError:
    """The error for a band that is not there."""
    return ValueError(f"{path} has {count} bands; its dataset's `labels` ask for band {band}.")


def known_or_none(known: np.ndarray) -> np.ndarray | None:
    """None where everything is known."""
    return None if known.all() else known
