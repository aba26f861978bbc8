"""Sample lists: read without a stop at the first fault, and what is wrong with them."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from co2s.d2 import DatasetCatalog
from co2s.data.catalog import dataset_root, get_spec
from co2s.data.reading.rasters import Window
from co2s.data.records import DatasetFiles, Record
from co2s.data.spec import DatasetSpec
from co2s.data.text import MARKS

from ..splits.folder import ROLES
from .findings import ERROR, INFO, SHOWN, WARNING, Finding, about, plural
from .names import in_its_place


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


@dataclass(frozen=True)
class Pair:
    """An image, its mask (None: unlabelled) and the windows that samples take of them.

    `first`: no other pair has this image; statistics count an image once.
    """

    image: str
    mask: str | None
    windows: tuple[Window | None, ...]
    first: bool
    number: int


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
        raise ValueError(f"No list of {names} has a sample.{reasons}")
    return lists, findings


def _unlisted(name: str, error: Exception) -> Finding:
    missing = isinstance(error, FileNotFoundError)
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


def pairs(lists: list[SampleList], absent: set[str]) -> list[Pair]:
    """Every image with every mask that it has in any list, once; without those in `absent`."""
    windows: dict[str, dict[str | None, set]] = defaultdict(lambda: defaultdict(set))
    for entry in lists:
        for record in entry.records:
            mask = record.get("sem_seg_file_name")
            windows[record["file_name"]][mask].add(record.get("window"))
    found: list[Pair] = []
    for image in sorted(set(windows) - absent):
        masks = sorted(mask for mask in windows[image] if mask and mask not in absent)
        todo: list[str | None] = [*masks] or [None]
        for mask in todo:
            places = sorted(windows[image][mask], key=lambda window: window or ())
            found.append(Pair(image, mask, tuple(places), mask == todo[0], len(found)))
    return found


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
        if other := in_its_place(path):
            name = ascii(os.path.basename(path))
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


def _mark(path: Path) -> str:
    """The encoding that a file's first bytes name, "" for none."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError:
        return ""
    found = next((name for mark, name in MARKS if start.startswith(mark)), "")
    return found.removesuffix("-sig").upper()
