"""Tables as Markdown, as CSV for programs, and as LaTeX (booktabs)."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from co2s.evaluation.bootstrap import Estimate
from co2s.files import write_text
from co2s.tables import signed, text_table

from .records import as_csv
from .table import Line, Spread, Table

LATEX = {
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def write_tables(path: Path, tables: Sequence[Table], notes: Sequence[str] = ()) -> str:
    """Write `<path>.md`, `<path>.csv` and `<path>.tex`; returns the Markdown."""
    text = "\n\n".join([*(markdown(table) for table in tables), *notes]) + "\n"
    write_text(path.with_name(f"{path.name}.md"), text)
    write_text(path.with_name(f"{path.name}.csv"), as_csv(tables))
    write_text(path.with_name(f"{path.name}.tex"), "\n".join(latex(table) for table in tables))
    return text


def markdown(table: Table) -> str:
    headers, rows = cells(table)
    parts = [
        f"**{table.name}**" if table.name else "",
        text_table(rows, headers, "github", disable_numparse=True),
    ]
    parts += [f"- {note}" for note in (*_said(table), *table.notes)]
    parts.append(_digests(table))
    return "\n\n".join(part for part in parts if part)


def cells(table: Table) -> tuple[list[str], list[list[str]]]:
    """Headers and rows as texts; columns of which nothing is known are left out."""
    columns = {
        f"mIoU, %, {table.dataset}": [line.title for line in table.lines],
        **{p: [_spread(line.scores.get(p)) for line in table.lines] for p in table.predictions},
        "95 % interval": [_range(line.interval) for line in table.lines],
        f"over {table.baseline}": [_gain(line.gain) for line in table.lines],
        "published": [_number(line.published, ".1f") for line in table.lines],
        "seeds": [_seeds(line) for line in table.lines],
        "steps": [_number(line.steps, "d") for line in table.lines],
        "h:mm:ss": [_time(line.seconds) for line in table.lines],
        "GiB": [_number(line.memory and line.memory / 1024, ".1f") for line in table.lines],
    }
    first, *_ = columns
    kept = {name: texts for name, texts in columns.items() if name == first or any(texts)}
    return [*kept], [[*row] for row in zip(*kept.values(), strict=True)]


def latex(table: Table) -> str:
    """A tabular with the rules of booktabs."""
    headers, rows = cells(table)
    lines = [f"% {table.name or table.dataset}; needs \\usepackage{{booktabs}}"]
    lines += [f"\\begin{{tabular}}{{l{'r' * (len(headers) - 1)}}}", "\\toprule", _tex(headers)]
    lines += ["\\midrule", *(_tex(row) for row in rows), "\\bottomrule", "\\end{tabular}", ""]
    return "\n".join(lines)


def _tex(row: Sequence[str]) -> str:
    # {} where a row begins with a bracket: after \\ that would be an argument.
    texts = ["".join(LATEX.get(character, character) for character in text) for text in row]
    return ("{}" if texts[0].startswith("[") else "") + " & ".join(texts) + r" \\"


def _said(table: Table) -> list[str]:
    """What the columns mean, where that is not plain."""
    said = []
    if any(line.interval for line in table.lines):
        said.append(
            "95 % interval, of the prediction that counts: bootstrap over seeds and images, the "
            "same images for all seeds; of one seed over images alone. Three seeds say little of "
            "others: take it for a lower bound."
        )
    if any(line.gain for line in table.lines):
        said.append(f"over {table.baseline}: difference of pairs of one seed, with its interval.")
    return said


def _digests(table: Table) -> str:
    found = [
        f"{line.title} {' '.join(line.digests.values())}" for line in table.lines if line.digests
    ]
    return f"Configurations, seed by seed: {'; '.join(found)}." if found else ""


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    deviation = "" if spread.deviation is None else f" ± {spread.deviation:.1f}"
    return f"{spread.mean:.1f}{deviation}"


def _range(interval: Estimate | None) -> str:
    return f"{interval.low:.1f} to {interval.high:.1f}" if interval else ""


def _gain(gain: Estimate | None) -> str:
    return f"{signed(gain.value)} ({signed(gain.low)} to {signed(gain.high)})" if gain else ""


def _number(value: float | None, style: str) -> str:
    return "" if value is None else format(value, style)


def _seeds(line: Line) -> str:
    return f"{line.done}" if line.done == line.wanted else f"{line.done} of {line.wanted}"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))
