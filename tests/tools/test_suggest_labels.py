"""tools/suggest_labels.py: what it writes and says."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ..geo import write_raster
from ..inference.map_files import tiles, write_map

TOOL = Path(__file__).parents[2] / "tools" / "suggest_labels.py"
S = 8


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script(TOOL)


@pytest.fixture
def maps(tmp_path):
    """A map with a hole, and its scene."""
    labels = tiles([[0, 1, 0, 1, 255, 0]], S)
    doubt = tiles([[9, 8, 7, 6, 5, 4]], S)
    write_map(tmp_path / "maps/x.tif", labels, disagreement=doubt, entropy=doubt[:, ::-1])
    write_raster(tmp_path / "scenes/x.tif", np.zeros((3, *labels.shape), np.uint8))
    return tmp_path


def run(tool, folder, *more):
    arguments = ["--input", folder / "maps", "--output", folder / "out", "--window", S, *more]
    return tool.main([str(x) for x in arguments])


def rows(folder):
    with open(folder / "out/suggestions.csv", newline="") as file:
        return [(int(row["row"]), int(row["column"])) for row in csv.DictReader(file)]


def test_files_and_words(tool, maps, capsys):
    weights = ("--weights", "entropy=0", "rarity=0")
    run(tool, maps, "--count", 4, "--scenes", maps / "scenes", *weights)
    said = capsys.readouterr().out
    assert rows(maps) == [(0, 0), (0, 16), (0, 40)]
    for words in (
        "3 of 6 windows of 1 map suggested.",
        "Left out as mostly nodata: 1.",
        "4 were asked for: the others lie beside those chosen.",
        str(maps / "out/suggestions.gpkg"),
        str(maps / "out/contact_sheet.png"),
    ):
        assert words in said
    run(tool, maps, "--weights", "disagreement=0", "rarity=0", "--count", 1)
    assert rows(maps) == [(0, 40)]


def test_what_can_be_mended_is_one_message(tool, maps, stops):
    with stops(r"--weights of \['color'\], but the maps have \['disagreement', 'entropy', 'rar"):
        run(tool, maps, "--weights", "color=1")
    with stops(r"no scene of a map's name"):
        run(tool, maps, "--scenes", maps / "maps")
    with stops(r"none is no file, and no folder"):
        tool.main(["--input", "none", "--output", str(maps / "out")])
    with stops(r"Count and window must be 1 or more, found 0 and 8"):
        run(tool, maps, "--count", 0)
    assert not (maps / "out").exists()
    with pytest.raises(SystemExit, match="2"):
        run(tool, maps, "--weights", "entropy")
