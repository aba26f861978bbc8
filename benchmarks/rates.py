"""The tables of the data benchmark: rates of the streams, and stages of a sample."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from co2s.tables import text_table

from .loading import LIBRARY, PLAIN

Rates = Mapping[str, list[float]]  # pipeline -> samples per second, one for each repeat
PAIR = "one of each"


def with_pairs(streams: Mapping[str, Rates]) -> dict[str, Rates]:
    """The rates of both streams, and of the pairs of samples that training steps are made of."""
    if len(streams) < 2:
        return dict(streams)
    one, other = streams.values()
    pairs = {
        pipeline: [1 / (1 / a + 1 / b) for a, b in zip(one[pipeline], other[pipeline], strict=True)]
        for pipeline in one
    }
    return {**streams, PAIR: pairs}


def tables(results: Mapping[str, Any]) -> list[str]:
    """The rates, then the stages of each stream, as texts."""
    stages = [stage_table(stream, table) for stream, table in results["stages"].items()]
    return [rate_table(results["samples_per_second"], results["settings"]), *stages]


def rate_table(rates: Mapping[int, Mapping[str, Rates]], settings: Mapping[str, Any]) -> str:
    """Medians and range; the ratio is that of the medians."""
    rows = [
        [workers, stream, *_rate_cells(by_pipeline, max(workers, 1))]
        for workers, streams in rates.items()
        for stream, by_pipeline in streams.items()
    ]
    pipelines = list(next(iter(next(iter(rates.values())).values())))
    ratio = ["ratio"] if PLAIN in pipelines else []
    text = text_table(rows, ["workers", "stream", *pipelines, *ratio], disable_numparse=True)
    return (
        f"Samples/s per worker on crops of {settings['crop']} px: "
        f"median (lowest to highest) of {settings['repeats']}\n{text}"
    )


def _rate_cells(rates: Rates, workers: int) -> list[str]:
    cells = []
    for runs in rates.values():
        low, middle, high = (f(runs) / workers for f in (min, median, max))
        cells.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
    if PLAIN in rates:
        cells.append(f"{median(rates[LIBRARY]) / median(rates[PLAIN]):.2f}")
    return cells


def stage_table(stream: str, stages: Mapping[str, Mapping[str, float]]) -> str:
    """Milliseconds and share of each stage."""
    totals = {pipeline: sum(seconds.values()) for pipeline, seconds in stages.items()}
    rows = [
        [name, *(_stage_cell(stages[p][name], totals[p]) for p in stages)]
        for name in next(iter(stages.values()))
    ]
    rows.append(["all", *(f"{1000 * total:.2f}" for total in totals.values())])
    text = text_table(rows, [f"{stream}, ms per sample", *stages], disable_numparse=True)
    return f"Stages of the {stream} stream, in one process (median, share)\n{text}"


def _stage_cell(seconds: float, total: float) -> str:
    return f"{1000 * seconds:.2f} ({100 * seconds / total:.0f} %)"
