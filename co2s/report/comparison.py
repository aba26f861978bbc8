"""Several runs side by side: scores over seeds, curves on top of each other, what differs."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from co2s.evaluation import MAIN
from co2s.evaluation.metrics import Series
from co2s.evaluation.report import SUMMARY
from co2s.files import write_text

from .charts import Line, chart
from .folder import Missing, Run, open_run
from .formats import ends, listed, percent, score
from .groups import Group, grouped
from .markup import Html, grid, join, paragraphs, table, tag
from .page import document, drawn

logger = logging.getLogger(__name__)


def write_comparison_page(folders: Sequence[str | Path], path: str | Path) -> str:
    """Write one page about several runs, and return its path.

    FileNotFoundError where a folder holds no run.
    """
    runs = [open_run(folder) for folder in folders]
    groups = grouped(runs)
    sections: list[tuple[str, str, Callable[[Run], Html]]] = [
        ("scores", "Scores", partial(_scores, groups)),
        ("classes", "Classes", partial(_classes, groups)),
        ("curves", "Training", partial(_curves, groups)),
        ("drift", "What the unlabelled images taught", partial(_drift, groups)),
        ("options", "Options that differ", partial(_options, groups)),
    ]
    links = [tag("a", words, href=f"#{anchor}") for anchor, words, _ in sections]
    title = f"{len(runs)} runs side by side"
    head = [tag("h1", title), _about(groups), tag("nav", *links, aria_label="Sections")]
    parts = [
        tag("section", tag("h2", words), drawn(words, draw, runs[0]), id=anchor)
        for anchor, words, draw in sections
    ]
    write_text(Path(path), document(title, [tag("header", *head), tag("main", *parts)]))
    logger.info("The comparison: %s", path)
    return str(path)


def _about(groups: Sequence[Group]) -> Html:
    rows = [
        [
            group.name,
            group.options.get("MODEL.META_ARCHITECTURE", "–"),
            len(group.runs),
            listed([str(run.option("SEED")) for run in group.runs]),
            listed([run.name for run in group.runs]),
        ]
        for group in groups
    ]
    headers = ["", "method", "runs", "seeds", "folders"]
    return table("Runs that differ only in their seed stand together", headers, rows, cls="words")


def _datasets(groups: Sequence[Group]) -> list[str]:
    found = [name for g in groups for run in g.runs for name in (run.known("scores") or {})]
    if not found:
        raise Missing("None of these runs was scored.")
    return list(dict.fromkeys(found))


def _contents(group: Group, dataset: str) -> list[dict[str, Any]]:
    """What every scores.json of a group says of a dataset."""
    found = [(run.known("scores") or {}).get(dataset) for run in group.runs]
    return [content for content in found if content]


def _scores(groups: Sequence[Group], _: Run) -> Html:
    """mIoU of every prediction, and every summary score of the one that counts."""
    parts = []
    for dataset in _datasets(groups):
        contents = [_contents(group, dataset) for group in groups]
        names = dict.fromkeys(name for runs in contents for run in runs for name in run["scores"])
        by_prediction = {
            name: [_values(_summary(run, "mIoU", name) for run in runs) for runs in contents]
            for name in names
        }
        of_main = {
            key: [_values(_summary(run, key) for run in runs) for runs in contents]
            for key in SUMMARY
        }
        parts += [
            tag("h3", dataset),
            _table("mIoU of each prediction, in percent", groups, by_prediction),
            _table("Every score of the prediction that counts", groups, of_main),
        ]
    several = any(len(group.runs) > 1 for group in groups)
    note = "Mean ± standard deviation over the seeds. " if several else ""
    return join([*parts, tag("p", f"{note}The best of a row is in bold.", cls="note")])


def _classes(groups: Sequence[Group], _: Run) -> Html:
    """IoU of each class, for the prediction that counts."""
    parts = []
    for dataset in _datasets(groups):
        contents = [_contents(group, dataset) for group in groups]
        names = dict.fromkeys(
            name for runs in contents for run in runs for name in run["class_names"]
        )
        rows = {
            name: [_values(_iou(run, name) for run in runs) for runs in contents] for name in names
        }
        parts.append(_table(f"{dataset}: IoU of each class, in percent", groups, rows))
    return join(parts)


def _summary(content: dict[str, Any], key: str, prediction: str = "") -> float | None:
    """A score of a prediction, of the one that counts where none is named."""
    return content["scores"].get(prediction or content["main"], {}).get(key)


def _iou(content: dict[str, Any], label: str) -> float | None:
    return content["scores"][content["main"]]["classes"].get(label, {}).get("IoU")


def _values(found: Iterable[float | None]) -> list[float]:
    return [value for value in found if value is not None]


def _table(caption: str, groups: Sequence[Group], rows: dict[str, list[list[float]]]) -> Html:
    shown = [[label, *_cells(columns)] for label, columns in rows.items() if any(columns)]
    return table(caption, ["", *(group.name for group in groups)], shown)


def _cells(columns: Sequence[list[float]]) -> Iterator[Html]:
    means = [mean(values) if values else None for values in columns]
    known = [value for value in means if value is not None]
    for values, value in zip(columns, means, strict=True):
        deviation = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
        text = f"{score(value)}{deviation}"
        best = len(known) > 1 and value == max(known)
        style = None if value is None else f"--v:{value:.1f}"
        yield tag("td", tag("b", text) if best else text, cls="bar", style=style)


def _curves(groups: Sequence[Group], _: Run) -> Html:
    """mIoU of what counts and the sum of the losses, one line for each run."""
    parts = []
    titles = {
        f"{MAIN}/mIoU": "mIoU of the prediction that counts, %",
        "total_loss": "Sum of all losses",
    }
    for ending, title in titles.items():
        names = [n for n in _recorded(groups) if n == ending or n.endswith(f"/{ending}")]
        parts += [_overlaid(groups, name, title) for name in names]
    if not parts:
        raise Missing("None of these runs has recorded a loss or a score.")
    return grid(parts)


def _drift(groups: Sequence[Group], _: Run) -> Html:
    """Coverage of each student and agreement, one line for each run."""
    recorded = _recorded(groups)
    names = [n for n in recorded if n.startswith("coverage/") and n.count("/") == 1]
    names += ["agreement"] * ("agreement" in recorded)
    if not names:
        raise Missing("None of these runs has recorded coverage or agreement of pseudo-labels.")
    titles = {name: f"Coverage of {name.partition('/')[2]}, %" for name in names}
    titles["agreement"] = "Agreement of the students, %"
    said = []
    for name in names:
        finals = [(g.name, _final(g, name)) for g in groups]
        texts = [f"{group} {percent(value)}" for group, value in finals if value is not None]
        said.append(f"{titles[name].removesuffix(', %')} at the end: {listed(texts)}.")
    return join(
        [paragraphs(*said), grid(_overlaid(groups, name, titles[name], 100) for name in names)]
    )


def _final(group: Group, name: str) -> float | None:
    """The mean of the ends of a scalar over the runs of a group."""
    found = [ends(s) for run in group.runs if (s := (run.known("metrics") or {}).get(name))]
    values = [value[1] for value in found if value]
    return mean(values) if values else None


def _recorded(groups: Sequence[Group]) -> list[str]:
    """The names of all scalars that any run has."""
    runs = [run for group in groups for run in group.runs]
    return list(dict.fromkeys(name for run in runs for name in run.known("metrics") or {}))


def _overlaid(groups: Sequence[Group], name: str, title: str, factor: float = 1) -> Html:
    lines = []
    for style, group in enumerate(groups):
        courses = [s for run in group.runs if (s := (run.known("metrics") or {}).get(name))]
        # One entry in the legend for all seeds of a group.
        names = [group.name, *[""] * len(courses)]
        scaled: list[Series] = [(steps, [factor * v for v in vs]) for steps, vs in courses]
        marked = name.endswith("mIoU")
        lines += [Line(n, series, style, marked) for n, series in zip(names, scaled, strict=False)]
    if len({line.style for line in lines}) == 1:  # no legend says whose it is
        title = f"{title}, of {lines[0].name}"
    return chart(title, lines, f"{title}, of {listed([g.name for g in groups])}")


def _options(groups: Sequence[Group], _: Run) -> Html:
    if len(groups) < 2:
        raise Missing("All of these runs have the same options.")
    keys = dict.fromkeys(key for group in groups for key in group.options)
    rows = [
        [key, *(_code(group.options.get(key)) for group in groups)]
        for key in keys
        if any(group.options.get(key) != groups[0].options.get(key) for group in groups)
    ]
    headers = ["option", *(group.name for group in groups)]
    return table(f"{len(rows)} options differ", headers, rows, cls="options")


def _code(value: Any) -> Html:
    return tag("code", "–" if value is None else value if value != "" else '""')
