"""Shares of classes and of ignored pixels, list by list."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from co2s.data.spec import DatasetSpec

from .findings import ERROR, INFO, WARNING, Finding, about, plural
from .lists import SampleList
from .values import MaskFacts, shifted


@dataclass(frozen=True)
class Shares:
    """Of one list: its samples and images; pixels (N,) of each class, and ignored ones.

    `role`: as that of the list. `counted`: samples whose mask was counted. `partly`, `empty`: masks
    with some and with nothing but ignored pixels, as the list uses them.
    """

    name: str
    role: str
    samples: int
    counted: int
    images: int
    pixels: np.ndarray
    ignored: int
    partly: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def classes(self) -> np.ndarray | None:
        """(N,) share of each class among labelled pixels; None where none is labelled."""
        total = self.pixels.sum()
        return self.pixels / total if total else None

    @property
    def ignored_share(self) -> float | None:
        """Share of ignored pixels among all; None in a list without labels."""
        total = self.pixels.sum() + self.ignored
        return float(self.ignored / total) if total else None


def shares(entry: SampleList, masks: Mapping[tuple[str, str], MaskFacts], number: int) -> Shares:
    """The shares of a list, from its masks by (image, mask); number: of classes."""
    total = np.zeros(number + 1, np.int64)
    partly: set[str] = set()
    empty: set[str] = set()
    counted = 0
    for record in entry.records:
        path = record.get("sem_seg_file_name")
        if path is None or (record["file_name"], path) not in masks:
            continue
        pixels = masks[record["file_name"], path].parts.get(record.get("window"))
        if pixels is None:
            continue
        total += pixels
        counted += 1
        if pixels[-1]:
            (partly if pixels[:-1].any() else empty).add(record["image_id"])
    return Shares(
        entry.name,
        entry.role,
        len(entry.records),
        counted,
        len(entry.images),
        total[:-1],
        int(total[-1]),
        tuple(sorted(partly)),
        tuple(sorted(empty)),
    )


def judge_labels(
    all_shares: Sequence[Shares], spec: DatasetSpec, suspected: Collection[str] = ()
) -> Iterator[Finding]:
    """Nothing to learn from and nothing to score: lists without a labelled pixel, a single class.

    suspected: names of lists of which some was not looked at.
    """
    for entry in all_shares:
        if entry.pixels.any() or not entry.ignored:
            continue
        seen, severity = f"in {plural(entry.counted, 'sample')} every one", ERROR
        if entry.name in suspected:
            seen, severity = f"every one looked at, in {plural(entry.counted, 'sample')},", WARNING
        purpose = "score" if entry.role == "val" else "learn from"
        message = f"'{entry.name}' has no labelled pixel: {seen} is ignored."
        fix = (
            f"There is nothing to {purpose}: correct `labels` (`ignore`, `map`) or the masks, or "
            "leave the list out."
        )
        yield Finding(severity, "nothing labelled", message, entry.counted, fix=fix)
    if len(spec.classes) == 1:
        message = (
            f"'{spec.class_names[0]}' is the only class: whatever is predicted is right, and every "
            "score is 100 %."
        )
        fix = (
            "Make what it is not a class, too: background in `classes`, with its number in "
            "`labels.map` and not in `labels.ignore`."
        )
        yield Finding(WARNING, "one class", message, 1, fix=fix)


def judge_shares(all_shares: Sequence[Shares], spec: DatasetSpec) -> Iterator[Finding]:
    """Classes that never occur, here or anywhere, and ignored pixels."""
    labelled = [entry for entry in all_shares if entry.pixels.any()]
    if not labelled:
        return
    everywhere = np.sum([entry.pixels for entry in labelled], axis=0)
    never = [name for name, count in zip(spec.class_names, everywhere, strict=True) if not count]
    if never:
        fix = shifted([bool(count) for count in everywhere], spec)
        fix = fix or "Take them out of `classes`, or check `labels`: nobody learns the unseen."
        message = f"No list has a pixel of {', '.join(never)}."
        yield Finding(WARNING, "absent classes", message, len(never), fix=fix)
    for entry in labelled:
        here = zip(spec.class_names, entry.pixels, everywhere, strict=True)
        lacks = [name for name, count, anywhere in here if anywhere and not count]
        if lacks:
            message = f"'{entry.name}' has no pixel of {', '.join(lacks)}, which other lists have."
            fix = "Draw the labelled samples stratified by class (tools/make_splits.py)."
            yield Finding(WARNING, "class not in list", message, len(lacks), fix=fix)
    yield from _ignored(labelled)


def _ignored(labelled: Sequence[Shares]) -> Iterator[Finding]:
    partly = {name for entry in labelled for name in entry.partly}
    empty = {name for entry in labelled for name in entry.empty}
    if partly | empty:
        worst = max(entry.ignored_share or 0 for entry in labelled)
        message = (
            f"{plural(len(partly | empty), 'labelled sample')} with ignored pixels, up to "
            f"{worst:.1%} of a list; {len(empty)} of them with nothing else."
        )
        yield about(INFO, "ignored", empty or partly, message)
