"""Tables keep their columns."""

import re

import pytest
from wcwidth import wcswidth

from co2s.tables import signed, text_table

NAMES = ["建筑", "forêt | bois", "🌳 дерево", "007", "1e3", "a\nb", "fore\u0302t"]


@pytest.mark.parametrize("style", ["pipe", "github", "simple"])
def test_every_line_is_as_wide_as_the_others(style):
    rows = [[name, 1.0] for name in NAMES if style in ("pipe", "github") or name != "a\nb"]
    lines = text_table(rows, ["class | name", "IoU"], style, floatfmt=".2f").splitlines()
    assert len(lines) == len(rows) + 2
    assert len({wcswidth(line) for line in lines}) == 1


def test_cells_of_a_pipe_table_are_the_names():
    table = text_table([[name, 1.0] for name in NAMES], ["class", "IoU"])
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()[2:]]
    assert all(len(row) == 2 for row in cells)
    shown = [row[0].strip().replace(r"\|", "|") for row in cells]
    assert shown == [name.replace("\n", r"\n") for name in NAMES]


def test_no_difference_has_a_minus():
    assert [signed(value) for value in (-0.04, 0.04, -0.06, 1.25)] == [
        "+0.0",
        "+0.0",
        "-0.1",
        "+1.2",
    ]
