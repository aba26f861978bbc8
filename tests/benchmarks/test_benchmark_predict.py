"""tools/benchmark.py predict: that it runs, and what its tables divide; nothing is timed."""

import json
import tempfile
from pathlib import Path

import pytest
import yaml

from benchmarks import predict, scenes
from co2s.inference.scene import open_scene

from ..geo import rasterio

TOOL = Path(__file__).parents[2] / "tools" / "benchmark.py"
TINY = {"FEATURES": [0, 0, 1], "WIDTH": 16, "DEPTH": 2, "HEADS": 2, "PATCH_SIZE": 8}
STUDENT = {"BACKBONE": TINY, "HEAD": {"NAME": "LinearHead"}, "GUIDANCE": {"NAME": "NoGuidance"}}
MODEL = {"META_ARCHITECTURE": "OnlySup", "STUDENTS": ["local"], "LOCAL": STUDENT}
SMALL = {"MODEL": MODEL, "INPUT": {"CROP_SIZE": 32}}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """In this process, in tmp_path, and on a landscape that is drawn in no time."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scenes, "DRAWN", 64)
    monkeypatch.setattr(predict, "_alone", predict.measure)
    return tmp_path


def test_a_scene_is_predicted_and_leaves_only_figures(here, load_script, capsys):
    (here / "small.yaml").write_text(yaml.safe_dump(SMALL))
    command = [
        "predict",
        "--sides",
        "70",
        "--bare",
        "2",
        "--polygons",
        "geojson",
        "--config-file",
        str(here / "small.yaml"),
    ]
    load_script(TOOL).main([*command, "--output", str(here / "figures.json")])
    found = json.loads((here / "figures.json").read_text())
    assert found["shards"] == {} and [*found["sides"]] == ["70"]
    (figures,) = found["sides"]["70"]
    assert figures["pixels"] == 70 * 70
    assert min(figures["seconds"], figures["bare_seconds"], figures["GB"]) > 0
    assert "bare model" in capsys.readouterr().out
    assert not [*here.glob("co2s_predict_*")], "the scene and its maps are gone"


def test_a_drawn_scene_has_the_side_that_was_asked_for(here):
    path = scenes.write_scene(here / "scenes" / "x.tif", 100)
    with open_scene(str(path), None) as scene:
        assert scene.size == (100, 100)
    with rasterio.open(path) as file:
        bands = file.read()
    assert bands.shape == (3, 100, 100) and file.crs.to_epsg() == 32640
    first, right, below = bands[:, :64, :64], bands[:, :64, 64:], bands[:, 64:, :64]
    assert (below == first[:, ::-1][:, :36]).all(), "mirrored, and not empty"
    assert not (right == right[:, :1, :1]).all()


def test_shares_and_times_as_fast():
    figures = {"pixels": 4_000_000, "bare_seconds": 1.0, "GB": 1.5, "device_GB": 0.0}
    runs = [{**figures, "seconds": seconds} for seconds in (2.0, 4.0, 8.0)]
    sides, shards = predict.tables(
        {"sides": {2000: runs}, "shards": {1: [9.0, 6.0, 5.0], 2: [4.0]}}
    )
    assert cells(sides)[-1] == [2000, 1.0, 4.0, 0.25, 1.5, 0.0]
    assert cells(shards)[-2:] == [[1, 6.0, 1.0], [2, 4.0, 1.5]]


def cells(table):
    """The numbers of a table's rows."""
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return [[float(cell) for cell in row] for row in rows]
