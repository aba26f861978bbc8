"""The course of a run as one picture: losses, mIoU, learning rate and kept pseudo-labels."""

import os
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from .evaluator import MAIN
from .figures import GREY, OTHERS, color_of, new_figure, save_figure
from .metrics import Series, read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Metrics = dict[str, Series]

TERM_COLORS = (*OTHERS, "#0072B2", "#E69F00", "#999999", "#000000")
WORDS = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "dash-dotted"}
LINES = tuple(WORDS)  # one for each student


def write_curves(output_dir: str) -> str:
    """Write `<output_dir>/curves.png` from its metrics.json and return the path.

    Only what the run recorded is drawn. Raises as `read_metrics` does.
    """
    metrics = read_metrics(output_dir)
    parts = [
        (draw, chosen)
        for draw, chosen in (
            (_draw_losses, _starting("loss_", metrics) | _named({"total_loss"}, metrics)),
            (_draw_scores, _scores(metrics)),
            (_draw_coverage, _coverage(metrics)),
            (_draw_schedule, _named({"lr", "stability_weight"}, metrics)),
        )
        if chosen
    ]
    rows = -(-len(parts) // 2) or 1
    figure = new_figure(13, 4.2 * rows, layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for axis, (draw, chosen) in zip(axes, parts, strict=False):
        draw(axis, chosen)
        axis.set_xlabel("iteration")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(parts) :]:
        axis.set_axis_off()
    return save_figure(figure, os.path.join(output_dir, "curves.png"))


def _starting(prefix: str, metrics: Metrics) -> Metrics:
    return {name: series for name, series in metrics.items() if name.startswith(prefix)}


def _scores(metrics: Metrics) -> Metrics:
    """mIoU of every prediction by name; that of the one that counts would be there twice."""
    parts = {name: name.split("/") for name in metrics}
    return {n: metrics[n] for n, p in parts.items() if p[-1] == "mIoU" and MAIN not in p}


def _coverage(metrics: Metrics) -> Metrics:
    """That of every student; those of its classes have names of three parts."""
    return {n: s for n, s in _starting("coverage/", metrics).items() if n.count("/") == 1}


def _named(names: set[str], metrics: Metrics) -> Metrics:
    return {name: series for name, series in metrics.items() if name in names}


def _draw_losses(axis: "Axes", metrics: Metrics) -> None:
    """One colour for each term, one line style for each student."""
    colors: dict[str, str] = {}
    students = [n.removeprefix("loss_sup_") for n in metrics if n.startswith("loss_sup_")]
    lines = dict(zip(students, cycle(LINES), strict=False))
    for name, (iterations, values) in metrics.items():
        if name == "total_loss":
            axis.plot(iterations, values, color="black", linewidth=2.2, label="total")
            continue
        term, student = _term_and_student(name, students)
        label = None if term in colors else term  # all students share one legend entry
        color = colors.setdefault(term, TERM_COLORS[len(colors) % len(TERM_COLORS)])
        style = lines.get(student, "-")
        axis.plot(iterations, values, style, color=color, linewidth=1.3, label=label)
    # Terms differ by orders of magnitude; below the linear part lies what is zero for long.
    axis.set_yscale("symlog", linthresh=1e-3)
    axis.set_ylim(bottom=0)
    styles = ", ".join(f"{WORDS[line]}: {name}" for name, line in lines.items())
    axis.set_title(f"weighted losses ({styles})" if len(lines) > 1 else "weighted losses")
    axis.legend(fontsize=8.5, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _term_and_student(name: str, students: list[str]) -> tuple[str, str]:
    """("sup", "global") of "loss_sup_global"; the student is "" where the name has none."""
    term = name.removeprefix("loss_")
    student = next((s for s in students if term.endswith(f"_{s}")), "")
    return term.removesuffix(f"_{student}"), student


def _draw_scores(axis: "Axes", metrics: Metrics) -> None:
    for i, (name, (iterations, values)) in enumerate(metrics.items()):
        prediction = name.removesuffix("/mIoU")
        color = color_of(prediction.split("/")[-1], i)
        best = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
        label = f"{prediction}, best {values[best]:.2f} at {iterations[best]}"
        axis.plot(iterations, values, "o-", color=color, markersize=4, label=label)
        axis.plot(iterations[best], values[best], "*", color=color, markersize=13)
    axis.set_title("mIoU, %")
    axis.legend(fontsize=8.5, frameon=False, loc="lower right")


def _draw_coverage(axis: "Axes", metrics: Metrics) -> None:
    for i, (name, (iterations, values)) in enumerate(metrics.items()):
        student = name.removeprefix("coverage/")
        axis.plot(iterations, 100 * np.asarray(values), color=color_of(student, i), label=student)
    axis.set_ylim(0, 100)
    axis.set_title("pseudo-labels above the threshold, % of valid pixels")
    axis.legend(fontsize=8.5, frameon=False)


def _draw_schedule(axis: "Axes", metrics: Metrics) -> None:
    """Learning rate on the left axis, the weight of the stability loss on the right one."""
    axis.set_title("schedules")
    axis.spines["right"].set_visible(True)
    if "lr" in metrics:
        axis.plot(*metrics["lr"], color="black")
        axis.set_ylabel("learning rate")
        axis.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        axis.set_ylim(bottom=0)
    if "stability_weight" in metrics:
        right = axis.twinx()
        right.plot(*metrics["stability_weight"], "--", color=GREY)
        right.set_ylabel("weight of the stability loss (dashed)", color=GREY)
        right.set_ylim(bottom=0)
