"""The course of the training: losses, scores, schedules, and what a step took."""

import numpy as np

from co2s.evaluation import MAIN
from co2s.evaluation.metrics import Series

from .charts import Line, chart
from .folder import Missing, Run
from .formats import duration, ends, grouped, known, percent
from .markup import Html, facts, grid, join, paragraphs


def curves(run: Run) -> Html:
    """Losses of each student, mIoU of each prediction, learning rate."""
    metrics = run.metrics
    parts = [_losses(run, student) for student in run.students]
    losses = [part for part in parts if part is not None]
    if "total_loss" in metrics:
        line = Line("total", metrics["total_loss"], 0)
        losses.insert(0, chart("Sum of all losses", [line], _from_to("The sum", line)))
    scores = [
        Line(name, series, run.style(name.rpartition("/")[2])) for name, series in _scores(run)
    ]
    if scores:
        marked = [Line(s.name, s.series, s.style, marked=True) for s in scores]
        losses.insert(0, chart("mIoU, %", marked, "; ".join(_best(line) for line in scores)))
    for name, title in (
        ("lr", "Learning rate"),
        ("stability_weight", "Weight of the stability loss"),
    ):
        if name in metrics:
            line = Line(name, metrics[name], 0)
            losses.append(chart(title, [line], _from_to(title, line)))
    if not losses:
        raise Missing("metrics.json holds no loss and no score.")
    said = " ".join(f"{_best(line)}." for line in scores)
    return join([paragraphs(said), grid(losses)])


def _losses(run: Run, student: str) -> Html | None:
    ending = f"_{student}"
    lines = [
        Line(name.removeprefix("loss_").removesuffix(ending), series, i)
        for i, (name, series) in enumerate(
            (n, s) for n, s in run.metrics.items() if n.startswith("loss_") and n.endswith(ending)
        )
    ]
    if not lines:
        return None
    alt = "; ".join(_from_to(line.name, line) for line in lines)
    return chart(f"Weighted losses of {student}", lines, alt, logarithmic=True)


def _scores(run: Run) -> list[tuple[str, Series]]:
    """mIoU of every prediction; that of the one that counts would be there twice."""
    parts = {name: name.split("/") for name in run.metrics}
    named = [n for n, p in parts.items() if p[-1] == "mIoU" and MAIN not in p]
    found = [(n.removesuffix("/mIoU"), run.metrics[n]) for n in named]
    return sorted(found, key=lambda item: run.style(item[0].rpartition("/")[2]))


def _best(line: Line) -> str:
    steps, values = known(line.series)
    if not values:
        return f"{line.name} has no mIoU"
    best = int(np.argmax(values))
    return f"{line.name} was best after step {grouped(steps[best])}, {values[best]:.2f} % mIoU"


def _from_to(name: str, line: Line) -> str:
    found = ends(line.series)
    return f"{name}: from {found[0]:.3g} to {found[1]:.3g}" if found else f"{name}: no number"


def costs(run: Run) -> Html:
    """Time of a step, of it waiting for data, and memory."""
    series = {name: run.metrics[name] for name in ("time", "data_time") if name in run.metrics}
    if "time" not in series:
        raise Missing("metrics.json has no times.")
    medians = {name: float(np.median(known(values)[1])) for name, values in series.items()}
    step, wait = medians["time"], medians.get("data_time")
    size = run.option("SOLVER.IMS_PER_BATCH")
    peak = (run.known("facts") or {}).get("peak_memory", {})
    lines = [
        Line(title, series[name], i)
        for i, (name, title) in enumerate((("time", "step"), ("data_time", "wait for data")))
        if name in series
    ]
    waiting = "" if wait is None else f", {percent(wait / step, 1)} of it waiting for data"
    said = f"A step took {_seconds(step)} in the median{waiting}."
    if wait is not None and wait > 0.2 * step:
        said += " More DATALOADER.NUM_WORKERS, or faster storage, would make it shorter."
    return join(
        [
            paragraphs(said),
            facts(
                [
                    ("Steps a minute", f"{60 / step:.1f}" if step else None),
                    (_kind(run), f"{size / step:.2f}" if size and step else None),
                    ("Peak of main memory", _memory(peak.get("main"))),
                    ("Peak of GPU memory", _memory(peak.get("gpu"))),
                ]
            ),
            grid([chart("Seconds a step", lines, said)]),
        ]
    )


def _kind(run: Run) -> str:
    return f"{'Labelled i' if run.option('DATASETS.LABELED') else 'I'}mages a second"


def _seconds(value: float) -> str:
    return duration(value) if value >= 10 else f"{value:.3g} s"


def _memory(mebibytes: int | None) -> str | None:
    return None if not mebibytes else f"{mebibytes / 1024:.2f} GiB (main process)"
