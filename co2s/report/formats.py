"""Numbers as a reader wants them, and what a course of numbers says."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from co2s.evaluation.metrics import Series

SHARE_AT_ENDS = 0.1  # of a course, that its start and its end are means over


def percent(share: float, digits: int = 0) -> str:
    """0.123 -> "12 %", in one piece; small shares keep a digit that is not 0."""
    value = 100 * share
    if 0 < value < 1 and digits == 0:
        digits = 1
        if value < 0.1:
            return "less than 0.1\u00a0%"
    return f"{value:.{digits}f}\u00a0%"


def score(value: float | None) -> str:
    """A score in percent, as tables show it."""
    return "–" if value is None else f"{value:.2f}"


def duration(seconds: float) -> str:
    """3725.0 -> "1 h 2 min"."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    whole = timedelta(minutes=minutes)
    hours = whole.seconds // 3600
    return f"{whole.days} d {hours} h" if whole.days else f"{hours} h {minutes % 60} min"


def grouped(number: int) -> str:
    """12345 -> "12 345", with spaces that do not break."""
    return f"{number:,}".replace(",", "\u202f")


def known(series: Series) -> Series:
    """Without what is no number."""
    points = [(i, v) for i, v in zip(*series, strict=True) if np.isfinite(v)]
    return [i for i, _ in points], [v for _, v in points]


def ends(series: Series) -> tuple[float, float] | None:
    """What a course starts and ends with: means over its first and last tenth; None: empty."""
    values = known(series)[1]
    if not values:
        return None
    count = max(round(SHARE_AT_ENDS * len(values)), 1)
    return float(np.mean(values[:count])), float(np.mean(values[-count:]))


def thinned(series: Series, points: int) -> Series:
    """At most so many points: means over equal stretches of a longer course."""
    steps, values = known(series)
    if len(values) <= points:
        return steps, values
    parts = list(zip(np.array_split(steps, points), np.array_split(values, points), strict=True))
    return [int(s.mean()) for s, _ in parts], [float(v.mean()) for _, v in parts]


def listed(names: Sequence[str]) -> str:
    """ "a, b and c" """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
