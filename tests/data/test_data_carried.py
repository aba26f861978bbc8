"""What a checkpoint carries of its dataset."""

import json
import math

import numpy as np
import pytest
import torch

from co2s.data.carried import KEY, Carried, CarriedClass, carried_of, facts_of
from co2s.data.catalog import register_spec_file
from co2s.data.reading.rasters import opened
from co2s.data.reading.resolution import ground_resolution
from co2s.data.spec import RasterSpec, ScaleSpec
from tests.geo import write_raster

SPEC = """
name: carried_toy
root: carried_toy
classes:
  - {{name: dark, color: [1, 2, 3], concepts: [shadow]}}
  - {{name: light, color: [4, 5, 6], concepts: [snow]}}
labels: {{encoding: index}}
layout: {{images: "images/{{name}}.tif", labels: "labels/{{name}}.tif"{window}}}
splits: {{fractions: ["1_1"]}}
raster: {{{raster}}}
"""


@pytest.fixture
def registered(tmp_path, clean_catalog):
    """A function (raster, window, pixels) -> what is carried of a dataset of two rasters."""

    def make(raster="bands: [1, 2, 3]", window="", pixels=(0.5, 0.5)):
        for number, pixel in enumerate(pixels):
            root = tmp_path / "carried_toy"
            write_raster(
                root / "images" / f"{number}.tif", np.ones((3, 20, 30), np.uint8), pixel=pixel
            )
            write_raster(
                root / "labels" / f"{number}.tif", np.ones((1, 20, 30), np.uint8), pixel=pixel
            )
        (tmp_path / "spec.yaml").write_text(SPEC.format(raster=raster, window=window))
        register_spec_file(tmp_path / "spec.yaml")
        return carried_of(["carried_toy_1_1_labeled"])

    return make


def test_classes_bands_size_and_resolution_are_carried(registered):
    found = registered()
    assert found.name == "carried_toy"
    assert found.classes == (CarriedClass("dark", (1, 2, 3)), CarriedClass("light", (4, 5, 6)))
    assert found.raster == RasterSpec()
    assert found.size == (20, 30)
    assert found.resolution == pytest.approx(0.5, rel=1e-3)


def test_a_window_is_the_image_and_the_yaml_goes_before_the_rasters(registered):
    found = registered("resolution: 2.5", ", window: 10")
    assert found.size == (10, 10)
    assert found.resolution == 2.5


def test_rasters_that_differ_are_told_and_their_median_counts(registered, log):
    assert registered(pixels=(0.5, 0.7)).resolution == pytest.approx(0.6, rel=1e-3)
    assert "pixels of 0.5 to 0.7 m" in log.text


def test_statistics_are_carried_as_the_range_they_stand_for(registered, tmp_path):
    bands = {str(b): {"mean": 10.0 * b, "std": 2.0} for b in (1, 2, 3)}
    (tmp_path / "stats.json").write_text(json.dumps({"bands": bands}))
    found = registered("scale: {statistics: stats.json}")
    assert found.raster.scale == ScaleSpec("range", (6.0, 16.0, 26.0), (14.0, 24.0, 34.0))


def test_it_comes_back_from_a_checkpoint_and_from_json(tmp_path):
    raster = RasterSpec((4, 3, 2, 1), ScaleSpec("percentile", (2.0,), (98.0,)), math.nan, 0.3)
    classes = (CarriedClass("a", (1, 2, 3)),)
    for known in (Carried("x", classes, raster, 0.3, (5, 6)), Carried("y", classes)):
        text = json.dumps(known.to_dict(), allow_nan=False)
        assert repr(Carried.from_dict(json.loads(text))) == repr(known)
        torch.save({"model": {}, KEY: known.to_dict()}, tmp_path / "w.pth")
        assert repr(Carried.read(tmp_path / "w.pth")) == repr(known)
    torch.save({"model": {}}, tmp_path / "w.pth")
    assert Carried.read(tmp_path / "w.pth") is None
    assert facts_of([]) == {}


@pytest.mark.parametrize(
    ("crs", "origin", "pixel", "metres"),
    [
        ("EPSG:32640", (500000, 2800000), 0.3, 0.3),
        ("EPSG:4326", (10.0, 60.0), 1e-5, 1e-5 * math.sqrt(111412.0 * 55800.0)),
        ("EPSG:3857", (0.0, 8399737.9), 1.0, 0.5),  # 60 degrees north: twice as large there
        ("EPSG:2263", (980000.0, 200000.0), 1.0, 0.3048),  # US survey feet
    ],
)
def test_a_pixel_is_measured_on_the_ground(tmp_path, crs, origin, pixel, metres):
    path = write_raster(
        tmp_path / "x.tif", np.ones((1, 4, 4), np.uint8), crs=crs, origin=origin, pixel=pixel
    )
    with opened(path) as source:
        assert ground_resolution(source) == pytest.approx(metres, rel=3e-3)


def test_without_a_crs_nobody_knows(tmp_path):
    path = write_raster(tmp_path / "x.tif", np.ones((1, 4, 4), np.uint8), crs=None)
    with opened(path) as source:
        assert ground_resolution(source) is None


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf])
def test_a_resolution_is_above_0(value):
    with pytest.raises(ValueError, match=r"raster\.resolution"):
        RasterSpec(resolution=value)
