"""The two sides of a dataset: training and validation, and what may be on neither."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from co2s.data.splits import validation_count

from .choice import choose_validation
from .grouping import shares_ground
from .sources import Sample


@dataclass
class Sides:
    """Training samples (some without a mask), validation samples, and remarks for a person."""

    train: list[Sample]
    val: list[Sample]
    remarks: list[str] = field(default_factory=list)


def parse_val(text: str) -> Fraction | int | Path:
    """A share ("0.1", "1/10"), a number of samples ("494") or a split list ("val.txt")."""
    if text.endswith(".txt"):
        return Path(text)
    if re.fullmatch(r"[1-9]\d*", text):
        return int(text)
    if re.fullmatch(r"0?\.\d+|[1-9]\d*/[1-9]\d*", text) and 0 < Fraction(text) < 1:
        return Fraction(text)
    raise ValueError(
        f"--val must be a share between 0 and 1, a number of samples or a val.txt, found {text!r}."
    )


def choose_sides(
    samples: Sequence[Sample],
    val: Fraction | int | frozenset[str],
    seed: int,
    bounds: np.ndarray | None = None,
) -> Sides:
    """Part the samples between groups; a set names the images that validate.

    Only samples with a mask validate. Left out, with a remark: samples without one in groups that
    validate, and, given the ground `bounds` (N, 4) of each, training samples that share ground
    with validation. ValueError where too many would validate, or a set parts a group.
    """
    masked = [sample for sample in samples if sample.label is not None]
    remarks: list[str] = []
    if isinstance(val, frozenset):
        chosen = {sample.image for sample in masked if sample.image in val}
    else:
        chosen = _drawn(masked, val, seed, remarks)
    validates = {sample.group for sample in masked if sample.image in chosen}
    _check_groups(masked, chosen, validates)
    train = [not (s.image in chosen or s.group in validates) for s in samples]
    dropped = sum(s.label is None and s.group in validates for s in samples)
    if dropped:
        remarks.append(f"{dropped} images without a mask are left out: their group validates.")
    if bounds is not None:
        inside = np.array([sample.image in chosen for sample in samples])
        shared = shares_ground(bounds, bounds[inside]) & np.array(train)
        train = list(np.array(train) & ~shared)
        if shared.any():
            remarks.append(f"{shared.sum()} tiles are left out: they overlap validation tiles.")
    sides = Sides(
        [sample for sample, trains in zip(samples, train, strict=True) if trains],
        [sample for sample in masked if sample.image in chosen],
        remarks,
    )
    _check_sizes(sides)
    return sides


def _drawn(
    masked: Sequence[Sample], val: Fraction | int, seed: int, remarks: list[str]
) -> set[str]:
    count = validation_count(val, len(masked)) if isinstance(val, Fraction) else val
    if count >= len(masked):
        raise ValueError(
            f"--val asks for {count} of {len(masked)} labelled images: none would be left to train."
        )
    groups = choose_validation([sample.group for sample in masked], count, seed)
    chosen = {sample.image for sample in masked if sample.group in groups}
    if len(chosen) != count:
        remarks.append(f"val: {len(chosen)} samples, not {count}: groups stay whole.")
    return chosen


def _check_groups(masked: Sequence[Sample], chosen: set[str], validates: set[str]) -> None:
    outside = Counter(s.group for s in masked if s.group in validates and s.image not in chosen)
    if outside:
        group = min(outside)
        inside = sum(sample.group == group for sample in masked) - outside[group]
        raise ValueError(
            f"{len(outside)} groups are on both sides, the first: '{group}' has {outside[group]} "
            f"training and {inside} validation samples. The validation samples were given, and "
            "part groups: let --val choose them, or group nothing."
        )


def _check_sizes(sides: Sides) -> None:
    if not sides.val:
        raise ValueError("No sample validates: none of those that were named has a mask.")
    if not any(sample.label for sample in sides.train):
        raise ValueError(
            "No training sample with a mask is left beside validation: choose a smaller --val, or "
            "smaller groups."
        )
