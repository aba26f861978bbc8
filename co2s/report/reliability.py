"""How far a prediction's confidence can be taken at its word, before and after calibration."""

from typing import Any

from .charts import Line, chart
from .folder import Missing, Run
from .formats import percent
from .markup import Html, grid, join, paragraphs, table


def reliability(run: Run) -> Html:
    """Diagrams of each prediction, and its expected calibration errors."""
    found = {
        name: part
        for name, part in run.calibration.items()
        if isinstance(part, dict) and "before" in part and "after" in part
    }
    if not found:
        raise Missing("calibration.json names no prediction.")
    rows = [
        [
            name,
            f"{part['temperature']:.3f}",
            percent(part["before"]["ece"], 2),
            percent(part["after"]["ece"], 2),
        ]
        for name, part in found.items()
    ]
    headers = ["prediction", "temperature", "error before", "error after"]
    explained = (
        "On the diagonal 80 % of the pixels that are 80 % sure are right; below it a prediction is "
        "too sure of itself, above it too little."
    )
    return join(
        [
            paragraphs(" ".join(_said(name, part) for name, part in found.items()), explained),
            grid(_diagram(name, part) for name, part in found.items()),
            table("Expected calibration error over the labelled pixels", headers, rows),
        ]
    )


def _said(name: str, part: dict[str, Any]) -> str:
    before, after = part["before"], part["after"]
    over = sum(count * (sure - right) for count, sure, right in before["bins"] if count)
    kind = "too sure of itself" if over > 0 else "too unsure of itself"
    return (
        f"{name} was {kind}, {100 * before['ece']:.1f} points off on average; with the temperature "
        f"it is {100 * after['ece']:.1f} points off."
    )


def _diagram(name: str, part: dict[str, Any]) -> Html:
    lines = []
    for style, moment in enumerate(("before", "after")):
        bins = [(sure, right) for count, sure, right in part[moment]["bins"] if count]
        series = ([sure for sure, _ in bins], [right for _, right in bins])
        lines.append(Line(moment, series, style, marked=True))
    return chart(
        f"Reliability of {name}",
        lines,
        _said(name, part),
        x_label="confidence",
        y_label="share that is right",
        top=1,
        diagonal=True,
    )
