"""What the page says, as HTML: names from files are escaped, they may hold anything."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from ..products import NODATA, SCALE, MapClass
from .files import FUSED, MapFiles
from .layers import share_palette
from .parts import places

MUTED = "color:#5b6470"
WIDTH = 296  # of a text, pixels
STOPS = 9  # colours of the bar


def heading(files: MapFiles) -> str:
    """The name of the map, its size and its CRS."""
    height, width = files.size
    crs = files.crs if len(files.crs) < 40 else "a CRS of its own"
    place = escape(crs) if crs else "no CRS: places are pixels"
    return (
        f'<div style="font-size:16px;font-weight:600;overflow-wrap:anywhere">'
        f'{escape(files.map.name)}</div><div style="{MUTED}">'
        f"{height:,} × {width:,} pixels, {place}</div>"
    )


def title(words: str) -> str:
    return f'<div style="font-weight:600;margin-top:6px">{escape(words)}</div>'


def legend(files: MapFiles) -> str:
    """The classes with their colours and shares, and the bar of the shares."""
    lines = "".join(_entry(entry, files.shares.get(entry.name)) for entry in files.classes)
    lines = f'<table style="border-spacing:0 1px;width:{WIDTH}px">{lines}</table>'
    return lines + (_bar([layer.title for layer in files.unsure]) if files.unsure else "")


def _entry(entry: MapClass, share: float | None) -> str:
    figure = "" if share is None else f"{100 * share:.1f} %"
    return (
        f'<tr><td style="width:24px">{_swatch(entry)}</td>'
        f'<td style="overflow-wrap:anywhere">{escape(entry.name)}</td>'
        f'<td style="text-align:right;white-space:nowrap;{MUTED}">{figure}</td></tr>'
    )


def _swatch(entry: MapClass) -> str:
    color = "rgb({}, {}, {})".format(*entry.color)
    box = "display:inline-block;width:14px;height:14px;border:1px solid #0004;border-radius:3px"
    return f'<span style="{box};vertical-align:-3px;background:{color}"></span>'


def _bar(names: Sequence[str]) -> str:
    values = np.linspace(0, SCALE, STOPS).astype(int)
    colors = ", ".join("rgb({}, {}, {})".format(*color[:3]) for color in share_palette()[values])
    words = escape(", ".join([names[0], *(name.lower() for name in names[1:])]))
    return (
        f'<div style="margin-top:6px;width:{WIDTH}px">{words}'
        f'<div style="height:10px;border-radius:3px;background:linear-gradient(90deg, {colors})">'
        f'</div><div style="display:flex;justify-content:space-between;{MUTED}">'
        "<span>0 %</span><span>100 %</span></div></div>"
    )


def answer(files: MapFiles, row: int, column: int) -> str:
    """What is known of a pixel: class, each student's, confidence, and where it lies.

    ValueError where a file is damaged.
    """
    lines = []
    for layer in files.maps:
        name = "Class" if layer.name == FUSED else f"{layer.name.capitalize()} student"
        lines.append((name, _class_words(files, layer.value(row, column))))
    for layer in files.unsure:
        lines.append((layer.title, _share_words(layer.value(row, column))))
    lines.append(("Row, column", f"{row}, {column}"))
    if files.crs:
        lines.append(("x, y", ", ".join(coordinates(files, row, column))))
    return _table(lines)


def coordinates(files: MapFiles, row: int, column: int) -> tuple[str, str]:
    """Of the middle of a pixel in the CRS, with as many digits as tell pixels apart."""
    middle = column + 0.5, row + 0.5
    ((x, y), (beside, above)) = places(files.transform, [middle, (column + 1.5, row + 0.5)])
    side = max(np.hypot(beside - x, above - y), 1e-12)
    digits = min(max(int(np.ceil(1 - np.log10(side))), 0), 9)
    return f"{x:.{digits}f}", f"{y:.{digits}f}"


def _class_words(files: MapFiles, value: int) -> str:
    for entry in files.classes:
        if entry.value == value:
            return f"{_swatch(entry)} {escape(entry.name)}"
    return "nodata" if value == NODATA else f"{value}, which is no class"


def _share_words(value: int) -> str:
    return "nodata" if value == NODATA else f"{100 * value / SCALE:.0f} %"


def _table(lines: Iterable[tuple[str, str]]) -> str:
    """Rows of words and their meaning; the second is HTML."""
    rows = "".join(
        f'<tr><td style="white-space:nowrap;padding-right:12px;{MUTED}">{escape(words)}</td>'
        f'<td style="overflow-wrap:anywhere">{text}</td></tr>'
        for words, text in lines
    )
    return f'<table style="border-spacing:0 1px">{rows}</table>'


def note(words: str) -> str:
    return f'<div style="{MUTED};overflow-wrap:anywhere">{escape(words)}</div>'


def fault(words: str) -> str:
    return f'<div style="color:#b3261e;overflow-wrap:anywhere">{escape(words)}</div>'
