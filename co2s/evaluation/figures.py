"""What every picture shares: a figure without pyplot's global state, colours, an atomic file."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# One colour for each prediction, the same in every picture (Okabe and Ito, safe for colour-blind).
COLORS = {"global": "#0072B2", "local": "#E69F00", "fused": "#222222"}
OTHERS = ("#009E73", "#CC79A7", "#56B4E9", "#D55E00")
GREY = "#888888"


def color_of(name: str, index: int = 0) -> str:
    """Colour of a prediction; `index` tells unknown ones apart."""
    return COLORS.get(name, OTHERS[index % len(OTHERS)])


def new_figure(width: float, height: float, **kwargs: Any) -> "Figure":
    """An empty white figure, in inches; matplotlib is imported here and not before."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white", **kwargs)


def save_figure(figure: "Figure", path: str, dpi: int = 120) -> str:
    """Write a PNG, all at once, making its folder where needed; returns the path."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = path + ".part"
    figure.savefig(temporary, dpi=dpi, format="png")
    os.replace(temporary, path)
    return path
