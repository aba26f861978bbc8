"""Charts as inline SVG that takes the page's colours, light or dark; names stand in the legend.

matplotlib draws axes and lines. Everything that a user has named is in the HTML around them.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from co2s.evaluation.metrics import Series

from .formats import known, thinned
from .markup import Html, empty, figure, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = 8  # in page.css, --s0 and so on
DASHES = (None, (4.0, 2.0), (1.0, 1.6))  # as lines, and as they repeat in the legend
SIZE = (4.7, 2.75)  # inches
AXES = (0.125, 0.165, 0.865, 0.79)  # left, bottom, width and height of a chart's axes, as shares
POINTS = 240  # of a line; more would not be seen
# Colours of the page, under codes that nothing else has.
INK, FAINT = "#0a0b0c", "#0a0b0d"
_VARIABLES = {INK: "currentColor", FAINT: "var(--line)"} | {
    f"#0c00{i:02x}": f"var(--s{i})" for i in range(COLORS)
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlecolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_numbers = count()


@dataclass(frozen=True)
class Line:
    """A course of numbers under a name; style: which colour, and then which dashes."""

    name: str
    series: Series
    style: int
    marked: bool = False  # single points show

    @property
    def color(self) -> int:
        return self.style % COLORS

    @property
    def dashes(self) -> tuple[float, ...] | None:
        return DASHES[self.style // COLORS % len(DASHES)]


def chart(
    title: str,
    lines: Sequence[Line],
    alt: str,
    *,
    x_label: str = "step",
    y_label: str = "",
    top: float | None = None,
    logarithmic: bool = False,
    diagonal: bool = False,
) -> Html:
    """A figure with its legend. alt: what it shows, in words; top: of the vertical axis."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE | {"svg.hashsalt": f"co2s {next(_numbers)}"}):
        drawing = Figure(figsize=SIZE)
        axis = drawing.add_axes(AXES)  # a fixed place: to look for one takes twice as long
        for line in lines:
            _draw(axis, line)
        if diagonal:
            axis.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        if logarithmic:
            axis.set_yscale("symlog", linthresh=1e-3)  # losses that are zero for long
        highest = max((v for line in lines for v in known(line.series)[1]), default=0)
        axis.set_ylim(bottom=0, top=top or 1.08 * highest or 1)
        axis.set_xlabel(x_label)
        axis.locator_params(axis="x", integer=x_label == "step")
        axis.set_ylabel(y_label)
        svg = _as_svg(drawing, alt)
    named = [line for line in lines if line.name]
    legend = tag("ul", *map(_entry, named), cls="legend") if len(named) > 1 else ""
    return figure(Html(svg), tag("span", tag("strong", title), legend), cls="chart")


def _draw(axis: "Axes", line: Line) -> None:
    steps, values = known(line.series) if line.marked else thinned(line.series, POINTS)
    style: dict[str, Any] = {"color": f"#0c00{line.color:02x}", "linewidth": 1.7}
    if line.dashes:
        style["dashes"] = line.dashes
    if line.marked or len(values) == 1:
        style |= {"marker": "o", "markersize": 4}
    axis.plot(steps, values, **style)


def _entry(line: Line) -> Html:
    pattern = " ".join(f"{2 * part:g}" for part in line.dashes) if line.dashes else None
    stroke = {"stroke": f"var(--s{line.color})", "stroke_dasharray": pattern}
    sample = tag("line", x1="0", x2="22", y1="5", y2="5", stroke_width="3", **stroke)
    return tag("li", tag("svg", sample, width="22", height="10", aria_hidden="true"), line.name)


def _as_svg(drawing: Any, alt: str) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    drawing.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    for pattern, instead in (
        (r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", ""),
        (r'<g id="[^"]*"', "<g"),  # the same in every chart
        (r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px"),
        (r"\n\s*", "\n"),
    ):
        text = re.sub(pattern, instead, text, flags=re.DOTALL)
    for code, variable in _VARIABLES.items():
        text = text.replace(code, variable)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    start = empty("svg", role="img", aria_label=alt, cls="plot")[:-1]
    names = ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"{start} {box[0]}{names}>" + text[text.index(">") + 1 :]
