"""The full check: one pass over all files of a dataset, in several processes where asked.

Each image and its mask are opened once, rasters are read block by block. Whatever a file does, its
measurement comes back: with figures, or with the problem.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from co2s.data.catalog import dataset_root, get_spec
from co2s.data.reading.rasters import Window, is_raster
from co2s.data.spec import DatasetSpec

from .findings import ERROR, Finding, by_weight
from .headers import Problem, fitting, image_problem, said, try_header
from .images import BLOCK, ImageFacts, ImageSums, decoded, judge_duplicates, judge_images
from .lists import (
    Pair,
    SampleList,
    judge_list_files,
    judge_lists,
    list_names,
    missing_files,
    pairs,
    read_lists,
)
from .masks import MaskCount, judge_masks
from .names import judge_names
from .shares import Shares, judge_labels, judge_shares, shares
from .statistics import BandStatistics, judge_scale, summaries
from .values import MaskFacts

Piece = tuple[Window, np.ndarray | None]  # a place, and which of its pixels are valid (None: all)

# Masks that are misread have no classes: what they lack says nothing.
NO_CLASSES = {"0 and 255", "colours for numbers", "numbers for colours"}


@dataclass
class Measurement:
    """The two halves of a pair; `mask` None: it is unlabelled. `partly`: not all was looked at."""

    image: ImageFacts
    mask: MaskFacts | None
    partly: bool = False


Progress = Callable[[Iterable[Measurement], int], Iterable[Measurement]]


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
    images = {path for entry in lists for path in entry.images}
    masks = {path for entry in lists for path in entry.masks}
    findings += [*judge_lists(lists, absent), *judge_list_files(spec, Path(root))]
    findings += judge_names(images, masks, spec, root)
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
    if not NO_CLASSES & {finding.kind for finding in findings}:
        findings += [*judge_labels(all_shares, spec), *judge_shares(all_shares, spec)]
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


def measure(pair: Pair, spec: DatasetSpec, quick: bool = False) -> Measurement:
    """All figures of a pair. quick: the image's header only, and of a mask what samples need."""
    cv2.setNumThreads(1)
    image = ImageFacts(pair.image)
    outlines = spec.labels.encoding == "coco"
    mask = MaskFacts(pair.mask, pair.image if outlines else pair.mask) if pair.mask else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files without a place on earth
        image.header, image.problem = try_header(pair.image, spec)
        if mask is not None:
            _open_mask(mask, image, spec)
        _walk(pair, image, mask, spec, quick)
    if image.header is not None and image.problem is None:
        image.problem = image_problem(pair.image, image.header, spec.raster)
    return Measurement(image, mask, partly=quick and _is_cut(pair, image, spec))


def _open_mask(mask: MaskFacts, image: ImageFacts, spec: DatasetSpec) -> None:
    """Header of the mask, and whether it fits its image."""
    mask.header, mask.problem = try_header(mask.path, spec, image.path)
    if mask.header is None or image.header is None:
        return
    mask.problem, mask.warp = fitting((image.path, image.header), (mask.path, mask.header), spec)


def _walk(
    pair: Pair, image: ImageFacts, mask: MaskFacts | None, spec: DatasetSpec, quick: bool
) -> None:
    """Go through the image's pieces, and through the same ones of its mask."""
    counting = None
    if mask is not None and mask.problem is None and mask.header is not None:
        counting = MaskCount(mask, pair, spec)
    pieces = _places(pair, image, spec) if quick else _pieces(pair, image, spec)
    try:
        for place, valid in pieces:
            if counting is not None:
                counting.add(place, valid)
    except Exception as error:  # whatever a damaged file makes a decoder raise
        image.problem = Problem("unreadable", said(error, image.path))
        image.bands, image.digest = {}, ""
    if counting is not None:
        counting.close()


def _is_cut(pair: Pair, image: ImageFacts, spec: DatasetSpec) -> bool:
    """Whether the sample is a whole raster of more than a block."""
    header = image.header
    large = header is not None and max(header.height, header.width) > BLOCK
    return large and None in pair.windows and is_raster(pair.image, spec.raster)


def _places(pair: Pair, image: ImageFacts, spec: DatasetSpec) -> Iterator[Piece]:
    """Places without a look at the image: of samples; of a whole raster a block in its middle."""
    if image.header is None:
        return
    height, width = image.header.height, image.header.width
    side = BLOCK if _is_cut(pair, image, spec) else max(height, width)
    h, w = min(height, side), min(width, side)
    for window in pair.windows:
        yield window or ((height - h) // 2, (width - w) // 2, h, w), None


def _pieces(pair: Pair, image: ImageFacts, spec: DatasetSpec) -> Iterator[Piece]:
    """Read the image piece by piece, into its facts."""
    if image.header is None:
        return
    sums = ImageSums(image, pair.number) if pair.first else None
    for place, bands, numbers, valid in decoded(image, spec.raster):
        if sums is not None:
            sums.add(bands, numbers, valid)
        yield place, None if valid.all() else valid
    if sums is not None:
        sums.close()
