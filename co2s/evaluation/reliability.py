"""Reliability diagrams: how often predictions are right, against how sure they are."""

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .figures import GREY, color_of, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write_reliability(calibration_file: str) -> str:
    """Write reliability.png beside a calibration.json; returns its path.

    One diagram for each prediction, before and after calibration. On the diagonal confidences are
    true; below it the prediction is surer than it is right. Larger dots are more pixels.
    """
    with open(calibration_file) as file:
        content = json.load(file)
    figure = new_figure(4.4 * len(content), 4.8, layout="constrained")
    axes = figure.subplots(1, len(content), squeeze=False).ravel()
    for i, (axis, (name, part)) in enumerate(zip(axes, content.items(), strict=True)):
        _draw(axis, part, color_of(name, i))
        axis.set_title(f"{name}, temperature {part['temperature']:.2f}", fontsize=11)
    axes[0].set_ylabel("right, % of the pixels that sure")
    return save_figure(figure, os.path.join(os.path.dirname(calibration_file), "reliability.png"))


def _draw(axis: "Axes", part: dict[str, Any], color: str) -> None:
    axis.plot([0, 100], [0, 100], color="black", linewidth=0.8, linestyle=":")
    for when, line, shade in (("before", "--", GREY), ("after", "-", color)):
        bins = np.array([b for b in part[when]["bins"] if b[0]], dtype=float)
        pixels, confidence, right = bins.T
        label = f"{when}: off by {100 * part[when]['ece']:.1f} points"
        axis.plot(100 * confidence, 100 * right, line, color=shade, label=label)
        sizes = 4 + 120 * pixels / pixels.sum()
        axis.scatter(100 * confidence, 100 * right, sizes, color=shade, alpha=0.6, linewidths=0)
    axis.set(xlim=(0, 100), ylim=(0, 100), xlabel="confidence, %", aspect="equal")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8.5, frameon=False, loc="upper left")
