"""A report as tables for people and as JSON for programs."""

from pathlib import Path
from textwrap import fill

from co2s.files import write_json
from co2s.tables import text_table

from .findings import SEVERITIES, Finding, plural
from .run import Report
from .shares import Shares

WIDTH = 90  # of what was found, characters


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
