"""The numbers of a table: means over seeds, intervals, differences, cost; what lacks is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from co2s.evaluation.bootstrap import Estimate, gain_over_seeds, mean_over_seeds
from co2s.evaluation.evaluator import FUSED

from ..floors import STUDENT
from ..twin import METHOD as BASELINE
from .results import Row, matrices_of

Matrices = Mapping[int, Mapping[str, np.ndarray]]  # by seed and image


@dataclass(frozen=True)
class Spread:
    """Mean of a score over seeds; the deviation is None for one seed."""

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class Line:
    """A row's numbers on one dataset. None: not known, or not through yet."""

    title: str
    done: int
    wanted: int
    scores: dict[str, Spread]  # by prediction
    interval: Estimate | None  # of the prediction that counts
    gain: Estimate | None  # over labelled-only
    published: float | None
    seconds: float | None  # of a run, on average
    memory: int | None  # MiB, at most
    steps: int | None
    digests: dict[int, str]  # by seed


@dataclass(frozen=True)
class Table:
    """One dataset of one group of cells."""

    name: str
    dataset: str
    predictions: list[str]
    main: str  # the prediction that counts, "" while nothing is known
    baseline: str  # the title of the labelled-only row, "" where there is none
    lines: list[Line]
    notes: list[str]  # what could not be computed, and why


def table_of(name: str, rows: Sequence[Row], dataset: str, published: Mapping[str, float]) -> Table:
    """The table of a dataset; published: mIoU by method, beside rows without own options."""
    found = [result.scores.get(dataset, {}) for row in rows if row.method for result in row.found]
    predictions = list(dict.fromkeys(part for scores in found for part in scores))
    main = FUSED if FUSED in predictions else predictions[-1] if predictions else STUDENT
    notes: list[str] = []
    matrices = {row.title: _matrices(row, dataset, notes) for row in rows}
    base = next((row.title for row in rows if row.method == BASELINE), "")
    lines = []
    for row in rows:
        named = {main: STUDENT} if not row.method else {part: part for part in predictions}
        own = matrices[row.title]
        zero = row.cfgs[0].TEST.ABSENT_AS_ZERO
        paired = base and row.method and row.title != base
        lines.append(
            Line(
                title=row.title,
                done=len(row.found),
                wanted=len(row.cfgs),
                scores=_spreads(row, dataset, named),
                interval=_interval(own, zero),
                gain=_gain(own, matrices[base], zero) if paired else None,
                published=published.get(row.method) if row.plain else None,
                seconds=_mean([r.seconds for r in row.found]),
                memory=max((r.memory for r in row.found if r.memory), default=None),
                steps=max((r.steps for r in row.found if row.method), default=None),
                digests=row.digests,
            )
        )
    return Table(name, dataset, predictions or [main], main, base, lines, notes)


def _spreads(row: Row, dataset: str, named: Mapping[str, str]) -> dict[str, Spread]:
    spreads = {}
    for column, prediction in named.items():
        values = [
            r.scores[dataset][prediction] for r in row.found if prediction in r.scores[dataset]
        ]
        if values:
            spreads[column] = Spread(mean(values), stdev(values) if len(values) > 1 else None)
    return spreads


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _matrices(row: Row, dataset: str, notes: list[str]) -> Matrices:
    """Nothing, and a note, where those of a run cannot be used."""
    try:
        return matrices_of(row, dataset)
    except (OSError, ValueError) as error:
        notes.append(f"No interval for {row.title}: {error}")
        return {}


def _interval(own: Matrices, zero: bool) -> Estimate | None:
    if not _same_images(own, own):
        return None
    return mean_over_seeds([_stacked(run) for run in own.values()], absent_as_zero=zero)


def _gain(own: Matrices, base: Matrices, zero: bool) -> Estimate | None:
    """Over the seeds that both have."""
    seeds = [seed for seed in own if seed in base]
    if not seeds or not _same_images(own, base):
        return None
    first, second = ([_stacked(part[seed]) for seed in seeds] for part in (own, base))
    return gain_over_seeds(first, second, absent_as_zero=zero)


def _same_images(one: Matrices, other: Matrices) -> bool:
    return len({frozenset(run) for run in (*one.values(), *other.values())}) == 1


def _stacked(run: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.stack([run[image] for image in sorted(run)])
