"""Tables and figures as text; columns stay columns whatever the names in them hold."""

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

PIPES = ("pipe", "github")


def text_table(
    rows: Sequence[Sequence[Any]], headers: Sequence[str], style: str = "pipe", **options: Any
) -> str:
    """A table in one of tabulate's styles; options: more of its arguments.

    The first column holds names: they are shown as they are, also where they look like numbers.
    """
    shown = [[_cell(value, style) for value in row] for row in rows]
    names = [_cell(name, style) for name in headers]
    options = {"disable_numparse": [0], **options}
    return tabulate(shown, headers=names, tablefmt=style, **options)


def signed(value: float) -> str:
    """A difference with its sign and one decimal; what rounds to nothing is +0.0."""
    return f"{round(value, 1) + 0.0:+.1f}"


def _cell(value: Any, style: str) -> Any:
    """`|` escaped where it would end a cell; characters without a shape as their code."""
    if not isinstance(value, str):
        return value
    kept = "\n" if style not in PIPES else ""
    value = "".join(c if c.isprintable() or c in kept else repr(c)[1:-1] for c in value)
    return value.replace("|", r"\|") if style in PIPES else value
