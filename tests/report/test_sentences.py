"""Sentences and numbers of the page, against what a reader would say of the same numbers."""

import numpy as np
import pytest

from co2s.report import drift, formats, overview, reliability, tables
from co2s.report.charts import DASHES, POINTS, Line, chart
from co2s.report.markup import Html, tag


def course(*values):
    return list(range(1, len(values) + 1)), list(values)


def test_what_rises_and_falls():
    assert drift._rise("Coverage", course(0.12, 0.5, 0.83)) == (
        "Coverage rose from 12\u00a0% to 83\u00a0%."
    )
    assert "fell from 83" in drift._rise("Agreement", course(0.83, 0.4))
    assert "stayed at 50" in drift._rise("Agreement", course(0.5, 0.505))
    assert "nothing to count" in drift._rise("Precision", course(float("nan")))


def test_classes_that_never_count():
    assert drift._never("global", {"road": course(0.0, 0.04, 0.01), "field": course(0.9)}) == (
        "With global, road is never above 4\u00a0%."
    )
    two = {"road": course(0.01, 0.0), "hut": course(0.002), "field": course(0.9)}
    assert "road and hut are never above 1\u00a0%" in drift._never("global", two)
    assert "no pseudo-label of road ever counts" in drift._never("global", {"road": course(0.0)})
    all_count = {"road": course(0.1, 0.31), "field": course(0.9)}
    assert drift._never("local", all_count) == "local covers least of road, 31\u00a0% at the end."


def test_classes_out_of_balance():
    truth = {"field": 0.25, "road": 0.04, "hut": 0.71}
    said = drift._unbalanced("local", {"field": 0.5, "road": 0.01, "hut": 0.49}, truth)
    assert "2.0 times as much field as the labels do (50\u00a0% against 25\u00a0%)" in said
    assert "too little road (1\u00a0% against 4\u00a0%)" in said
    assert "about the labels' shares" in drift._unbalanced("local", truth, truth)
    assert "could be compared" in drift._unbalanced("local", {"field": None}, truth)


def test_calibration_in_words():
    better = {"ece": 0.01, "bins": []}
    over = {"before": {"ece": 0.17, "bins": [[0, 0, 0], [10, 0.9, 0.7]]}, "after": better}
    assert reliability._said("fused", over) == (
        "fused was too sure of itself, 17.0 points off on average; with the temperature it is 1.0 "
        "points off."
    )
    under = {"before": {"ece": 0.17, "bins": [[10, 0.5, 0.7]]}, "after": better}
    assert "too unsure" in reliability._said("fused", under)


def test_mistakes_in_words():
    said = tables._mistakes(np.array([[60, 40], [0, 0]]), ["road", "field"])
    assert said == "40\u00a0% of the pixels of road are taken for field."
    assert "No class" in tables._mistakes(np.eye(2) * 10, ["road", "field"])


def test_classes_in_words():
    values = {"classes": {"a": {"IoU": 3.0}, "b": {"IoU": 70.0}, "c": {"IoU": None}}}
    said = overview._of_classes(values | {"absent": ["c"]})
    assert said == "Best class: b (70.00 % IoU); weakest: a (3.00 %). Without a pixel of truth: c."


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0"), (0.0004, "less than 0.1"), (0.004, "0.4"), (0.123, "12"), (1, "100")],
)
def test_percent(share, text):
    assert formats.percent(share) == f"{text}\u00a0%"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.14, "3.1 s"),
        (79.3, "79 s"),
        (600, "10 min"),
        (3 * 3600 + 120, "3 h 2 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_duration(seconds, text):
    assert formats.duration(seconds) == text


def test_ends_are_means_over_a_tenth():
    assert formats.ends(course(*range(20))) == (0.5, 18.5)
    assert formats.ends(course(3, float("nan"), 5)) == (3, 5)
    assert formats.ends(([], [])) is None


def test_long_courses_are_thinned_to_means():
    steps, values = formats.thinned((list(range(1000)), [i % 2 for i in range(1000)]), 10)
    assert len(steps) == 10
    assert values == [0.5] * 10
    assert formats.thinned(course(1, float("nan"), 3), 10) == ([1, 3], [1, 3])


def test_values_are_escaped_and_html_is_not():
    made = tag("p", "<i>", tag("b", "&"), cls='"x"', data_n=1, title=None)
    assert made == '<p class="&quot;x&quot;" data-n="1">&lt;i&gt;<b>&amp;</b></p>'
    assert isinstance(made, Html)
    assert tag("p", "a\x00\ud800b") == "<p>a\ufffd\ufffdb</p>"


def test_charts_name_nothing_inside_and_take_the_page_s_colours():
    lines = [Line(f"<{i}>", course(1.0, 2.0), i) for i in range(10)]
    made = chart("Title & more", lines, 'what "it" shows')
    svg, _, rest = made.partition("</svg>")
    assert 'aria-label="what &quot;it&quot; shows"' in svg
    assert "var(--s0)" in svg
    assert "currentColor" in svg
    assert "#0a0b0" not in svg
    assert "&lt;" not in svg
    assert all(f"&lt;{i}&gt;" in rest for i in range(10))
    assert lines[8].color == lines[0].color
    assert lines[8].dashes == DASHES[1] != lines[0].dashes
    alone = chart("Title", lines[:1], "alt")
    assert "legend" not in alone


def test_a_chart_of_many_steps_stays_small():
    series = (list(range(100_000)), [0.5] * 100_000)
    assert len(chart("Title", [Line("a", series, 0)], "alt")) < 30_000
    assert POINTS < 1000


def test_a_chart_of_nothing():
    made = chart("Title", [Line("a", ([1], [float("nan")]), 0)], "alt", logarithmic=True)
    assert "</svg>" in made
