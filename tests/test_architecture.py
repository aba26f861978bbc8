"""Imports point down, and the picture of docs/architecture.md is the code's."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def draw(load_script):
    """docs/draw_architecture.py"""
    return load_script(ROOT / "docs" / "draw_architecture.py")


def test_every_import_points_down(draw):
    graph = draw.edges()
    assert graph.keys() <= draw.LEVEL.keys(), "a new part needs a level"
    upwards = [
        (part, other)
        for part, below in graph.items()
        for other in below
        if draw.LEVEL[other] >= draw.LEVEL[part]
    ]
    assert not upwards


def test_the_picture_is_the_code_s(draw):
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert draw.picture() in page, "run python docs/draw_architecture.py and replace the picture"
    largest = draw.shares().split()[0]
    assert f"The largest package is `{largest}`" in page


def test_nothing_in_the_library_imports_what_stands_beside_it():
    beside = ("tools", "projects", "benchmarks", "tests", "datasets")
    for file in (ROOT / "co2s").rglob("*.py"):
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                assert words[1].split(".")[0] not in beside, f"{file}: {line}"
