"""The full check: one pass over all files of a dataset, in several processes where asked."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from co2s.data.catalog import dataset_root, get_spec
from co2s.data.spec import DatasetSpec

from .findings import ERROR, Finding, by_weight
from .images import judge_duplicates, judge_images
from .lists import SampleList, list_names, missing_files, pairs, read_lists
from .masks import judge_masks
from .measure import Measurement, measure
from .overlaps import judge_lists, judge_names
from .scaled import judge_scale
from .shares import Shares, judge_shares, shares
from .statistics import BandStatistics, summaries

Progress = Callable[[Iterable[Measurement], int], Iterable[Measurement]]

# Masks that are misread have no classes: what they lack says nothing.
_NO_CLASSES = {"0 and 255", "colours for numbers", "numbers for colours"}


@dataclass(frozen=True)
class Report:
    """Everything that the check found.

    `bands`: figures of each band, by its number in the file, over the valid pixels of
    `statistics_images` images: those of the lists `statistics_lists`.
    """

    dataset: str
    root: str
    class_names: list[str]
    lists: list[Shares]
    findings: list[Finding]
    bands: dict[str, dict]
    statistics_lists: list[str]
    statistics_images: int
    seconds: float

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == ERROR]


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
    findings += [*judge_lists(lists, absent), *judge_names(lists, root)]
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
    findings += judge_masks(list(masks.values()), spec)
    all_shares = [shares(entry, masks, len(spec.classes)) for entry in lists]
    if not _NO_CLASSES & {finding.kind for finding in findings}:
        findings += judge_shares(all_shares, spec)
    return all_shares, findings


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
