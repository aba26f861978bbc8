"""The quick form of the check: some samples of each list, headers and masks, a few seconds."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from co2s.data.catalog import get_spec
from co2s.data.spec.reader import load_spec

from .findings import ERROR, WARNING, Finding, by_weight, plural
from .images import judge_images
from .lists import Pair, SampleList, judge_lists, missing_files, pairs, read_lists
from .masks import judge_masks
from .names import judge_class_names
from .run import NO_CLASSES, Measurement, measure
from .shares import Shares, judge_labels, shares
from .statistics import judge_scale
from .values import shifted

SAMPLES = 32
SECONDS = 3.0


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
