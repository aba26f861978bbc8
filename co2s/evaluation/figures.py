"""What every picture shares: a figure without pyplot's global state, colours and its file."""

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from co2s.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# One colour for each prediction, the same in every picture (Okabe and Ito, safe for colour-blind).
COLORS = {"global": "#0072B2", "local": "#E69F00", "fused": "#222222"}
OTHERS = ("#009E73", "#CC79A7", "#56B4E9", "#D55E00")
GREY = "#888888"
# Fonts with letters that matplotlib's own has not: of CJK, and outlines of emoji.
OTHER_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Emoji",
    "Segoe UI Symbol",
)


def color_of(name: str, index: int = 0) -> str:
    """Colour of a prediction; `index` tells unknown ones apart."""
    return COLORS.get(name, OTHERS[index % len(OTHERS)])


def new_figure(width: float, height: float, **kwargs: Any) -> "Figure":
    """An empty white figure, in inches; matplotlib is imported here and not before."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white", **kwargs)


def drawable(text: str) -> str:
    """The text with what no font at hand can draw as code points: "U+5EFA U+7B51"."""
    if text.isascii():
        return text
    known = set().union(*(_letters(family) for family in _families()))
    missing = {c for c in text if ord(c) not in known and c not in "\n\t"}
    words = re.split(f"([{re.escape(''.join(sorted(missing)))}]+)", text) if missing else [text]
    shown = (" ".join(f"U+{ord(c):04X}" for c in w) if w[:1] in missing else w for w in words if w)
    return "".join(shown)


@lru_cache(maxsize=1)
def _families() -> tuple[str, ...]:
    """Matplotlib's own font, and those of OTHER_FONTS that are installed."""
    from matplotlib import font_manager, rcParams

    installed = set(font_manager.fontManager.get_font_names())
    return (*rcParams["font.sans-serif"][:1], *(name for name in OTHER_FONTS if name in installed))


@lru_cache(maxsize=8)
def _letters(family: str) -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(family)).get_charmap())


def _prepare_texts(figure: "Figure") -> None:
    """Names are drawn as they are: with every font that is needed, and `$` is no formula."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if text.get_text():  # those of ticks are not set yet, and hold formulas
            text.set_text(drawable(text.get_text()))
            text.set_parse_math(False)
    if len(_families()) > 1:
        for axis in figure.axes:
            axis.tick_params(labelfontfamily=list(_families()))
        for text in figure.findobj(Text):
            text.set_fontfamily(list(_families()))


def save_figure(figure: "Figure", path: str, dpi: int = 120) -> str:
    """Write a PNG, making its folder where needed; returns the path."""
    _prepare_texts(figure)
    write_whole(Path(path), lambda draft: figure.savefig(draft, dpi=dpi, format="png"))
    return path
