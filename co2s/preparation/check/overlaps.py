"""What is wrong with lists as lists: missing files, samples listed twice or in two of them."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from .findings import ERROR, INFO, WARNING, Finding, about, plural
from .lists import SampleList


def judge_lists(lists: Sequence[SampleList], absent: set[str]) -> Iterator[Finding]:
    """Missing files, empty lists, samples listed twice, and samples that two lists share."""
    if absent:
        yield about(
            ERROR,
            "missing",
            absent,
            f"{plural(len(absent), 'listed file')} not there.",
            "Fetch them, or correct the lists or `layout`.",
        )
    for entry in lists:
        counts = Counter(record["image_id"] for record in entry.records)
        twice = [image for image, count in counts.items() if count > 1]
        if twice:
            message = f"'{entry.name}' lists {plural(len(twice), 'sample')} twice."
            yield about(ERROR, "listed twice", twice, message, "Take them off the list.")
        if not entry.records and entry.role != "unlabeled":
            message = f"'{entry.name}' has no sample."
            yield Finding(WARNING, "empty list", message, 0, fix="Choose a larger share.")
    yield from _overlaps(lists)


def _overlaps(lists: Sequence[SampleList]) -> Iterator[Finding]:
    ids = {entry.name: {record["image_id"] for record in entry.records} for entry in lists}
    for one, other in combinations(lists, 2):
        validation = (one.role == "val") != (other.role == "val")
        same_split = one.name.rsplit("_", 1)[0] == other.name.rsplit("_", 1)[0]
        shared = ids[one.name] & ids[other.name]
        if shared and (validation or same_split):
            yield about(
                ERROR,
                "overlap",
                shared,
                f"'{one.name}' and '{other.name}' share {plural(len(shared), 'sample')}.",
                "Labelled, unlabelled and validation samples must be different images: write the "
                "lists anew (tools/make_splits.py).",
            )


def judge_names(lists: Sequence[SampleList], root: str) -> Iterator[Finding]:
    """Spaces in paths and equal names in several folders: facts that other programs stumble on."""
    paths = {path for entry in lists for path in entry.images | entry.masks}
    spaced = {path for path in paths if " " in os.path.relpath(path, root)}
    if spaced:
        yield about(
            INFO, "spaces", spaced, f"{plural(len(spaced), 'path')} with a space: harmless."
        )
    folders = defaultdict(set)
    for path in {path for entry in lists for path in entry.images}:
        folders[Path(path).name].add(path)
    equal = [path for group in folders.values() if len(group) > 1 for path in group]
    if equal:
        names = sum(len(group) > 1 for group in folders.values())
        message = (
            f"{len(equal)} images in different folders share {plural(names, 'file name')}: "
            "harmless, samples go by their path."
        )
        yield about(INFO, "equal names", equal, message)
