"""Statistics of bands in one pass, over valid pixels and unscaled values; and their file.

Integers of up to 16 bits are counted value by value: all figures are exact. Of other values mean,
standard deviation, minimum and maximum are exact (float64, updated block by block), percentiles
come from a uniform random sample.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from co2s.data.reading.scaling import limits
from co2s.data.spec import DatasetSpec
from co2s.files import write_json

from .report import ERROR, Finding

LOWEST, HIGHEST = -(2**15), 2**16 - 1  # int16 and uint16 together
SAMPLE = 2**14  # pixels kept for percentiles: the 2nd lies between the 1.9th and the 2.1th
PERCENTILES = (2, 98)


class BandStatistics:
    """What is known of one band's values so far; parts of a dataset can be merged."""

    def __init__(self, seed: int = 0) -> None:
        """seed: of the sample that percentiles are taken from."""
        self.histogram = np.zeros(0, np.int64)
        self.count, self.mean, self.squares = 0, 0.0, 0.0  # squared deviations from the mean
        self.ends = (np.inf, -np.inf)
        self.sample = np.zeros((2, 0))  # random keys, values
        self._rng = np.random.default_rng(seed)

    def __getstate__(self) -> dict:
        """Only the values that occur travel between processes."""
        used = np.flatnonzero(self.histogram)
        return vars(self) | {"histogram": None, "used": (used, self.histogram[used])}

    def __setstate__(self, state: dict) -> None:
        used, counts = state.pop("used")
        vars(self).update(state)
        self.histogram = np.zeros(_bins() if len(used) else 0, np.int64)
        self.histogram[used] = counts

    def add(self, values: np.ndarray) -> None:
        """Add valid, finite values, of any shape."""
        if not values.size:
            return
        if values.dtype.kind in "iub" and values.dtype.itemsize <= 2:
            counts = np.bincount(values.ravel().astype(np.int64) - LOWEST, minlength=_bins())
            self._add_counts(counts)
            return
        wide = values.ravel().astype(np.float64)
        mean = float(wide.mean())
        self._add_moments(wide.size, mean, float(np.square(wide - mean).sum()))
        self.ends = (min(self.ends[0], wide.min()), max(self.ends[1], wide.max()))
        self._add_sample(np.stack([self._rng.random(wide.size), wide]))

    def merge(self, other: "BandStatistics") -> None:
        """Add what another one has seen."""
        if other.histogram.size:
            self._add_counts(other.histogram)
        if other.count:
            self._add_moments(other.count, other.mean, other.squares)
            self.ends = (min(self.ends[0], other.ends[0]), max(self.ends[1], other.ends[1]))
            self._add_sample(other.sample)

    def summary(self) -> dict:
        """mean, std, min, max, percentiles as p2 and p98, and how many pixels; {} for none."""
        bins = np.flatnonzero(self.histogram)
        values, counts = bins + LOWEST, self.histogram[bins]
        whole = BandStatistics()
        whole._add_moments(self.count, self.mean, self.squares)
        if counts.size:
            mean = float(np.dot(values, counts) / counts.sum())
            whole._add_moments(int(counts.sum()), mean, float(np.dot((values - mean) ** 2, counts)))
        if not whole.count:
            return {}
        weight = self.count / max(self.sample.shape[1], 1)
        points = np.concatenate([values, self.sample[1]])
        weights = np.concatenate([counts, np.full(self.sample.shape[1], weight)])
        low, high = (_percentile(points, weights, percent) for percent in PERCENTILES)
        return {
            "mean": whole.mean,
            "std": float(np.sqrt(whole.squares / whole.count)),
            "min": float(min([self.ends[0], *values[:1]])),
            "max": float(max([self.ends[1], *values[-1:]])),
            **dict(zip((f"p{percent}" for percent in PERCENTILES), (low, high), strict=True)),
            "pixels": whole.count,
            "percentiles": f"sample of {self.sample.shape[1]} pixels" if self.count else "exact",
        }

    def _add_counts(self, counts: np.ndarray) -> None:
        self.histogram = self.histogram + counts if self.histogram.size else counts

    def _add_moments(self, count: int, mean: float, squares: float) -> None:
        """Chan, Golub and LeVeque's update of mean and squared deviations by those of a part."""
        if not count:
            return
        total = self.count + count
        gap = mean - self.mean
        self.mean += gap * count / total
        self.squares += squares + gap**2 * self.count * count / total
        self.count = total

    def _add_sample(self, sample: np.ndarray) -> None:
        """Every value has a random key: those of the lowest keys are a uniform sample."""
        both = np.concatenate([self.sample, sample], axis=1)
        if both.shape[1] > SAMPLE:
            both = both[:, np.argpartition(both[0], SAMPLE)[:SAMPLE]]
        self.sample = both


def summaries(bands: Mapping[int, BandStatistics]) -> dict[str, dict]:
    """The figures of each band that has a valid pixel, by its number in the file."""
    found = {str(number): bands[number].summary() for number in sorted(bands)}
    return {number: figures for number, figures in found.items() if figures}


def write_statistics(
    path: Path, bands: Mapping[str, dict], dataset: str, images: int, lists: Iterable[str]
) -> None:
    """Write the file that `raster: {scale: {statistics: FILE}}` reads.

    ValueError where no band has a valid pixel.
    """
    if not bands:
        raise ValueError(f"No image of '{dataset}' has a valid pixel: there are no statistics.")
    content = {
        "dataset": dataset,
        "lists": sorted(lists),
        "images": images,
        "unit": "unscaled values, valid pixels only",
        "bands": bands,
    }
    write_json(path, content)


def judge_scale(spec: DatasetSpec, writes: Path | None = None) -> Iterator[Finding]:
    """One error where `raster.scale.statistics` names a file that is missing or lacks a band.

    writes: a file of statistics that this very check writes.
    """
    raster = spec.raster
    if raster is None or raster.scale is None or raster.scale.method != "statistics":
        return
    if writes is not None and writes.resolve() == Path(raster.scale.file).resolve():
        return
    try:
        limits(raster, "", lambda: np.ma.masked_array([]))
    except (OSError, ValueError) as error:
        fix = f"Run the full check with --statistics {raster.scale.file}"
        yield Finding(ERROR, "statistics", str(error), 1, fix=fix)


def _bins() -> int:
    return HIGHEST - LOWEST + 1


def _percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    """As np.percentile of the values repeated by their weights: linear between two ranks."""
    order = np.argsort(values, kind="stable")
    ranks = np.cumsum(weights[order])
    rank = percent / 100 * max(float(ranks[-1]) - 1, 0)
    places = np.searchsorted(ranks, (np.floor(rank), np.floor(rank) + 1), side="right")
    low, high = values[order][np.minimum(places, len(values) - 1)]
    return float(low + (high - low) * (rank - np.floor(rank)))
