"""The check of a dataset: all of it, in several processes where asked, or a quick look at some."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from co2s.data.catalog import dataset_root, get_spec
from co2s.data.spec import DatasetSpec
from co2s.data.spec.reader import load_spec

from .images import judge_duplicates, judge_images
from .lists import (
    SampleList,
    judge_case,
    judge_labels,
    judge_list_files,
    judge_lists,
    judge_shares,
    list_names,
    missing_files,
    read_lists,
    shares,
)
from .masks import MaskFacts, judge_masks, shifted
from .measure import Measurement, Pair, measure, pairs
from .names import judge_class_names, judge_names
from .polygons import judge_polygons
from .report import ERROR, WARNING, Finding, Report, Shares, by_weight, plural
from .statistics import BandStatistics, judge_scale, summaries

# Masks that are misread have no classes: what they lack says nothing.
NO_CLASSES = {"0 and 255", "colours for numbers", "numbers for colours"}

# Of the quick form: samples of each list, and seconds for all.
SAMPLES = 32
SECONDS = 3.0

Progress = Callable[[Iterable[Measurement], int], Iterable[Measurement]]


def check_dataset(
    dataset: str,
    workers: int = 1,
    progress: Progress = lambda measured, total: measured,
    writes: Path | None = None,
) -> Report:
    """Check a registered dataset: all its lists, every file of them once.

    workers: processes that read; `progress` wraps the measurements as they come in, for a bar;
    writes: the file that the statistics found are about to be written to.
    ValueError for an unknown name or where no list has a sample, FileNotFoundError where the
    dataset's folder is missing.
    """
    start = time.monotonic()
    spec = get_spec(dataset)
    lists, findings = read_lists(list_names(spec.name))
    root = str(dataset_root(spec.name))
    absent = missing_files(lists)
    images = {path for entry in lists for path in entry.images}
    masks = {path for entry in lists for path in entry.masks}
    findings += [*judge_lists(lists, absent), *judge_list_files(spec, Path(root))]
    findings += [*judge_case(spec), *judge_names(images, masks, spec, root)]
    todo = pairs(lists, absent)
    statistics = _Statistics(lists)
    measured = []
    for result in progress(_measured(todo, spec, workers), len(todo)):
        statistics.take(result)
        measured.append(result)
    all_shares, more = _judged(measured, lists, spec)
    findings += judge_scale(spec, writes)
    return Report(
        dataset=spec.name,
        root=root,
        class_names=spec.class_names,
        lists=all_shares,
        findings=by_weight([*findings, *more]),
        bands=summaries(statistics.bands),
        statistics_lists=statistics.lists,
        statistics_images=statistics.images,
        seconds=time.monotonic() - start,
    )


def _measured(todo: Sequence, spec: DatasetSpec, workers: int) -> Iterator[Measurement]:
    task = partial(measure, spec=spec)
    if workers <= 1:
        yield from map(task, todo)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(task, todo, chunksize=4)


def _judged(
    measured: Sequence[Measurement], lists: Sequence[SampleList], spec: DatasetSpec
) -> tuple[list[Shares], list[Finding]]:
    """The shares of each list, and what images, masks and shares have wrong."""
    images = list({result.image.path: result.image for result in reversed(measured)}.values())[::-1]
    masks = {(r.image.path, r.mask.path): r.mask for r in measured if r.mask is not None}
    findings = [*judge_images(images, spec), *judge_duplicates(images, lists)]
    findings += [*judge_masks(list(masks.values()), spec), *_about_polygons(masks, spec)]
    all_shares = [shares(entry, masks, len(spec.classes)) for entry in lists]
    if not NO_CLASSES & {finding.kind for finding in findings}:
        findings += [*judge_labels(all_shares, spec), *judge_shares(all_shares, spec)]
    return all_shares, findings


def _about_polygons(
    masks: Mapping[tuple[str, str], MaskFacts], spec: DatasetSpec
) -> Iterator[Finding]:
    return judge_polygons(spec, [pair for pair, mask in masks.items() if mask.problem is None])


class _Statistics:
    """Gathers the bands of the training images; of all images where no list is for training."""

    def __init__(self, lists: Sequence[SampleList]) -> None:
        chosen = [entry for entry in lists if entry.role != "val" and entry.records]
        chosen = chosen or [entry for entry in lists if entry.records]
        self.lists = [entry.name for entry in chosen]
        self.images = 0
        self.bands: dict[int, BandStatistics] = {}
        self._paths = {path for entry in chosen for path in entry.images}

    def take(self, result: Measurement) -> None:
        """Merge the bands of a measurement, and let go of them: there may be many files."""
        image = result.image
        if image.path in self._paths and image.bands:
            self.images += 1
            for number, band in image.bands.items():
                self.bands.setdefault(number, BandStatistics()).merge(band)
        image.bands = {}


def quick_check(
    names: Sequence[str], samples: int = SAMPLES, seconds: float = SECONDS
) -> list[Finding]:
    """Findings in up to `samples` records of each registered name, evenly spread over it.

    Images are opened for their headers only, masks of unlabelled records never. After `seconds`
    the rest is left out. Raises as `check_dataset` does.
    """
    end = time.monotonic() + seconds
    findings: list[Finding] = []
    names = list(dict.fromkeys(names))  # a list may validate and test
    for dataset in dict.fromkeys(get_spec(name).name for name in names):
        lists, unlisted = read_lists([n for n in names if get_spec(n).name == dataset])
        findings += unlisted
        findings += _look(lists, dataset, samples, end)
    return by_weight(findings)


def _look(lists: list[SampleList], dataset: str, samples: int, end: float) -> Iterator[Finding]:
    spec = get_spec(dataset)
    some = [replace(entry, records=_spread(entry.records, samples)) for entry in lists]
    absent = missing_files(some)
    yield from judge_lists(lists, absent)
    yield from judge_class_names(spec)
    measured: list[Measurement] = []
    for pair in _mixed(pairs(some, absent)):
        if measured and time.monotonic() > end:
            break
        measured.append(measure(pair, spec, quick=True))
    masks = {(r.image.path, r.mask.path): r.mask for r in measured if r.mask is not None}
    yield from judge_images([result.image for result in measured], spec)
    yield from judge_scale(spec)
    about_masks = list(judge_masks(list(masks.values()), spec))
    yield from about_masks
    yield from _about_polygons(masks, spec)
    if NO_CLASSES & {finding.kind for finding in about_masks}:
        return
    all_shares = [shares(entry, masks, len(spec.classes)) for entry in some]
    cut = {result.image.path for result in measured if result.partly}
    yield from judge_labels(all_shares, spec, _suspected(lists, some, all_shares, cut))
    pixels = sum(entry.pixels for entry in all_shares)
    hint = shifted([bool(count) for count in np.atleast_1d(pixels)], spec)
    if hint:
        message = f"'{spec.class_names[0]}' does not occur in {len(masks)} masks, all others do."
        yield Finding(WARNING, "absent classes", message, 1, fix=hint)


def _suspected(
    lists: Sequence[SampleList], some: Sequence[SampleList], seen: Sequence[Shares], cut: set[str]
) -> set[str]:
    """The names of the lists of which not everything was looked at."""
    return {
        entry.name
        for entry, part, shares in zip(lists, some, seen, strict=True)
        if shares.counted < len(entry.records) or part.images & cut
    }


def _spread(records: list, samples: int) -> list:
    """That many records, evenly spread from the first to the last."""
    places = np.linspace(0, len(records) - 1, min(samples, len(records))).round().astype(int)
    return [records[place] for place in places]


def _mixed(todo: list[Pair]) -> list[Pair]:
    """In an order in which the first few are of all parts: time may run out."""
    return [todo[place] for place in np.random.default_rng(0).permutation(len(todo))]


def check_before_training(
    names: Sequence[str], root: str = "", spec_files: Sequence[str] = ()
) -> None:
    """Log the warnings of the quick form, and how to run the full one.

    For the command line that is told: `root`, the folder of the data where it is not the usual one,
    and `spec_files`, YAML files of datasets that do not come with co2s. ValueError where there is
    an error.
    """
    log = logging.getLogger(__name__)
    findings = quick_check(names)
    full = " && ".join(_commands(names, root, {load_spec(path).name: path for path in spec_files}))
    for finding in findings:
        if finding.severity == WARNING:
            log.warning("Data: %s", " ".join(finding.lines()))
    errors = [finding for finding in findings if finding.severity == ERROR]
    if errors:
        told = "\n".join("- " + " ".join(error.lines()) for error in errors)
        found = plural(len(errors), "error")
        raise ValueError(
            f"The data of this run have {found} (a quick look at some samples):\n{told}\n"
            f"The full check: {full}"
        )
    log.info("Data: no error in a quick look at some samples. The full check: %s", full)


def _commands(names: Sequence[str], root: str, files: Mapping[str, str]) -> list[str]:
    """The command line of the full check, for each dataset."""
    datasets = dict.fromkeys(get_spec(name).name for name in names)
    where = f" --root '{root}'" if root else ""
    return [
        f"python tools/check_dataset.py --dataset {files.get(name, name)}{where}"
        for name in datasets
    ]
