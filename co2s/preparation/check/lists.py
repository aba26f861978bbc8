"""Lists of samples: read without a stop at the first fault, and what is wrong with them.

That goes for the files, the samples, and the shares of classes and of ignored pixels.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from co2s.d2 import DatasetCatalog
from co2s.data.catalog import dataset_root, get_spec
from co2s.data.patterns import match_pattern
from co2s.data.records import DatasetFiles, Record
from co2s.data.spec import DatasetSpec
from co2s.data.text import MARKS

from ..splits.folder import ROLES
from .masks import MaskFacts, shifted
from .names import in_its_place
from .report import ERROR, INFO, SHOWN, WARNING, Finding, Shares, about, plural


@dataclass(frozen=True)
class SampleList:
    """A registered name and its records. `role`: "labeled", "unlabeled" or "val"."""

    name: str
    role: str
    records: list[Record]

    @property
    def images(self) -> set[str]:
        return {record["file_name"] for record in self.records}

    @property
    def masks(self) -> set[str]:
        return {r["sem_seg_file_name"] for r in self.records if "sem_seg_file_name" in r}


def list_names(dataset: str) -> list[str]:
    """The registered names of a dataset, in the order of its spec."""
    names = []
    for name in DatasetCatalog.list():
        with suppress(ValueError):
            if name.startswith(f"{dataset}_") and get_spec(name).name == dataset:
                names.append(name)
    return names


def read_lists(names: list[str]) -> tuple[list[SampleList], list[Finding]]:
    """All lists that can be read, and a finding for each that cannot.

    FileNotFoundError where the dataset's folder is missing, ValueError where no list has a sample.
    """
    lists, findings = [], []
    for name in names:
        role = name.rsplit("_", 1)[1]
        try:
            lists.append(SampleList(name, role, DatasetCatalog.get(name)))
        except Exception as error:  # a damaged header may raise anything
            if not dataset_root(get_spec(name).name).is_dir():
                raise
            findings.append(_unlisted(name, error))
            with suppress(Exception):
                lists.append(SampleList(name, role, _uncut(name, role)))
    if not any(entry.records for entry in lists):
        reasons = "".join(f"\n  {finding.message}" for finding in findings)
        reasons += "".join(f"\n  {one.message} {one.fix}" for one in judge_case(get_spec(names[0])))
        raise ValueError(f"No list of {names} has a sample.{reasons}")
    return lists, findings


def _unlisted(name: str, error: Exception) -> Finding:
    # A listed image that is not there has a finding of its own; the error names its file.
    missing = isinstance(error, FileNotFoundError) and error.filename is None
    return Finding(
        WARNING if missing else ERROR,
        "missing list" if missing else "unreadable list",
        f"'{name}' cannot be listed: {error}",
        1,
        fix="Write the split list, or take the split out of `splits.fractions`."
        if missing
        else "Correct the split list, or replace the file that it stumbles over.",
    )


def _uncut(name: str, role: str) -> list[Record]:
    """The records without windows: these need every image's header, and one may be damaged."""
    spec = get_spec(name)
    layout = replace(spec.layout, window=None) if spec.layout else None
    files = DatasetFiles(replace(spec, layout=layout), dataset_root(spec.name))
    if role == "val":
        return files.val()
    split = name.removeprefix(f"{spec.name}_").removesuffix(role).strip("_")
    return files.labeled(split) if role == "labeled" else files.unlabeled(split or None)


def missing_files(lists: list[SampleList]) -> set[str]:
    """The files that are listed and not there."""
    paths = {path for entry in lists for path in entry.images | entry.masks}
    return {path for path in paths if not os.path.isfile(path)}


def judge_lists(lists: Sequence[SampleList], absent: set[str]) -> Iterator[Finding]:
    """Missing files, empty lists, samples listed twice, and samples that two lists share."""
    if absent:
        yield _missing(absent)
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


def _missing(absent: set[str]) -> Finding:
    message = f"{plural(len(absent), 'listed file')} not there."
    for path in sorted(absent)[:SHOWN]:
        name = ascii(os.path.basename(path))
        if os.path.islink(path):
            message += f" {name} is a link that leads nowhere."
        elif other := in_its_place(path):
            message += f" {name} is listed; there is {other!a}, which looks alike."
    fix = "Fetch them, or correct the lists or `layout`."
    return about(ERROR, "missing", absent, message, fix)


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


def judge_list_files(spec: DatasetSpec, root: Path) -> Iterator[Finding]:
    """Split lists that begin with a byte order mark: read as they are meant, here."""
    if spec.splits.folder is None:
        return
    folder = root / spec.splits.folder
    files = [folder / split / role for split in spec.splits.fractions for role in ROLES]
    marked = [path for path in (folder / "val.txt", *files) if _mark(path)]
    if marked:
        kinds = ", ".join(sorted({_mark(path) for path in marked}))
        count = plural(len(marked), "split list")
        message = f"{count} with a byte order mark ({kinds}): read without it."
        fix = "Save as UTF-8 without a mark: not every program passes it over."
        yield about(INFO, "byte order mark", map(str, marked), message, fix)


def judge_case(spec: DatasetSpec) -> Iterator[Finding]:
    """Files that would be samples if only their names had other small and capital letters."""
    if spec.layout is None or spec.splits.folder is not None:
        return
    root, patterns = dataset_root(spec.name), (spec.layout.images, *spec.layout.unlabeled)
    fitting = {path for pattern in patterns for path, _ in match_pattern(root, pattern)}
    for pattern in patterns:
        others = {path for path, _ in match_pattern(root, pattern, any_case=True)} - fitting
        if others:
            message = f"{plural(len(others), 'file')} would fit {pattern} but for capital letters"
            message += f", as {min(others)!a}: they are passed over."
            fix = "Rename them, or write the pattern in `layout` as they are."
            yield about(WARNING, "capital letters", others, message, fix)


def _mark(path: Path) -> str:
    """The encoding that a file's first bytes name, "" for none."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError:
        return ""
    found = next((name for mark, name in MARKS if start.startswith(mark)), "")
    return found.removesuffix("-sig").upper()


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
