"""What the check says: findings, shares of classes, and the report, as tables and as JSON."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill

import numpy as np

from co2s.files import write_json
from co2s.tables import text_table

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)
SHOWN = 3  # file names that a finding carries
WIDTH = 90  # of what was found, characters


@dataclass(frozen=True)
class Finding:
    """One thing found in a dataset.

    `severity`: "error" (training would fail or learn something else), "warning" (look at it) or
    "info" (a fact, harmless). `kind` names it for programs. `count` files or samples have it, and
    `files` are the first of them. `fix`: what to do, most likely.
    """

    severity: str
    kind: str
    message: str
    count: int
    files: tuple[str, ...] = ()
    fix: str = ""

    def lines(self, root: str = "") -> list[str]:
        """The message, the file names as seen from `root`, and the fix."""
        names = ", ".join(shortened(path, root) for path in self.files)
        more = ", ..." if self.count > len(self.files) else ""
        return [
            self.message,
            *([f"first: {names}{more}" if more else names] if names else []),
            *([f"fix: {self.fix}"] if self.fix else []),
        ]

    def as_dict(self) -> dict:
        return asdict(self) | {"files": list(self.files)}


def about(severity: str, kind: str, files: Iterable[str], message: str, fix: str = "") -> Finding:
    """A finding that these files or samples have; it carries the first names."""
    names = sorted(set(files))
    return Finding(severity, kind, message, len(names), tuple(names[:SHOWN]), fix)


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then warnings, then facts; each in the order in which they were found."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def shortened(path: str, root: str) -> str:
    """A path as seen from root, where it lies in there."""
    return path.removeprefix(root.rstrip("/") + "/") if root else path


def plural(count: int, noun: str) -> str:
    """ "1 mask", "2 masks"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@dataclass(frozen=True)
class Shares:
    """Of one list: its samples and images; pixels (N,) of each class, and ignored ones.

    `role`: as that of the list. `counted`: samples whose mask was counted. `partly`, `empty`: masks
    with some and with nothing but ignored pixels, as the list uses them.
    """

    name: str
    role: str
    samples: int
    counted: int
    images: int
    pixels: np.ndarray
    ignored: int
    partly: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def classes(self) -> np.ndarray | None:
        """(N,) share of each class among labelled pixels; None where none is labelled."""
        total = self.pixels.sum()
        return self.pixels / total if total else None

    @property
    def ignored_share(self) -> float | None:
        """Share of ignored pixels among all; None in a list without labels."""
        total = self.pixels.sum() + self.ignored
        return float(self.ignored / total) if total else None


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


def as_text(report: Report) -> str:
    """Lists, bands and findings, one table each, and a last line that sums up."""
    parts = [f"{report.dataset} in {report.root}", _lists(report)]
    if report.bands:
        parts.append(_bands(report))
    parts.append(findings_text(report.findings, report.root))
    return "\n\n".join(parts) + f" {report.seconds:.0f} s."


def findings_text(findings: list[Finding], root: str = "") -> str:
    """Each finding with its files and its fix, and how many of each severity there are."""
    rows = [
        [
            finding.severity,
            finding.kind,
            "\n".join(fill(line, WIDTH) for line in finding.lines(root)),
        ]
        for finding in findings
    ]
    counts = [sum(finding.severity == severity for finding in findings) for severity in SEVERITIES]
    errors, warnings, facts = (
        plural(n, word) for n, word in zip(counts, ("error", "warning", "fact"), strict=True)
    )
    verdict = "Something is wrong" if counts[0] else "Nothing is wrong"
    summary = f"{verdict}: {errors}, {warnings}, {facts}."
    if not rows:
        return summary
    table = text_table(rows, ["", "what", "found"], "simple", disable_numparse=True)
    return f"{table}\n\n{summary}"


def _lists(report: Report) -> str:
    rows = []
    for entry in report.lists:
        classes = entry.classes
        share = [None] * len(report.class_names) if classes is None else list(100 * classes)
        ignored = entry.ignored_share
        cells = [entry.name, entry.samples, entry.images, *share]
        rows.append([*cells, None if ignored is None else 100 * ignored])
    headers = ["list", "samples", "images", *report.class_names, "ignored"]
    table = text_table(rows, headers, floatfmt=".1f", missingval="-")
    return f"{table}\nClasses in % of the labelled pixels, ignored in % of all."


def _bands(report: Report) -> str:
    names = ("mean", "std", "min", "max", "p2", "p98", "percentiles")
    rows = [
        [number, *(figures[name] for name in names)] for number, figures in report.bands.items()
    ]
    table = text_table(rows, ["band", *names], floatfmt=".6g")
    images = plural(report.statistics_images, "training image")
    return f"{table}\nUnscaled values of the valid pixels of {images}."


def write_report(path: Path, report: Report) -> None:
    """Write the report as JSON."""
    content = {
        "dataset": report.dataset,
        "root": report.root,
        "errors": len(report.errors),
        "findings": [finding.as_dict() for finding in report.findings],
        "classes": report.class_names,
        "lists": [_entry(entry) for entry in report.lists],
        "bands": report.bands,
        "seconds": report.seconds,
    }
    write_json(path, content)


def _entry(entry: Shares) -> dict:
    classes = entry.classes
    return {
        "name": entry.name,
        "samples": entry.samples,
        "images": entry.images,
        "pixels": entry.pixels.tolist(),
        "class_shares": None if classes is None else classes.tolist(),
        "ignored_share": entry.ignored_share,
    }
