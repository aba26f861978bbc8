"""A scene from its file to its maps."""

import json

import numpy as np
import pytest
import torch

from co2s.data.carried import Carried
from co2s.data.reading.rasters import opened
from co2s.data.spec import RasterSpec, ScaleSpec
from co2s.inference.layers import NO_MORE, UNSURE, Wanted, disagreement, entropy, top_class
from co2s.inference.products import band_named, product, read_classes
from co2s.inference.scene_maps import Outlines, Plan, is_finished, predict_scene
from co2s.inference.sources import Source
from tests.geo import CRS, rasterio, write_raster

from .conftest import CLASSES, Brightness, record_of

ALL = Wanted(UNSURE, True, ("global", "local"))


def plan(wanted=NO_MORE, **more):
    return Plan(window=16, stride=12, wanted=wanted, **more)


def run(path, output, wanted=NO_MORE, known=None, network=None, **more):
    known = known or Carried("toy", CLASSES)
    said = []
    source = Source(str(path), "scene")
    network = network or Brightness()
    predict_scene(source, output, network, known, plan(wanted, **more), say=said.append)
    return said


@pytest.fixture
def scene(tmp_path):
    """A raster of 3 bands whose first row and column are nodata."""
    bands = np.random.default_rng(0).integers(1, 256, (3, 50, 70)).astype(np.uint8)
    bands[:, 0], bands[:, :, 0] = 0, 0
    write_raster(tmp_path / "in" / "scene.tif", bands, nodata=0)
    return tmp_path / "in" / "scene.tif", bands


def read(path, band=1):
    with rasterio.open(path) as file:
        return file.read(band)


def test_the_map_lies_on_the_grid_of_the_scene(scene, tmp_path):
    path, bands = scene
    run(path, tmp_path / "out")
    with rasterio.open(path) as before, rasterio.open(tmp_path / "out" / "scene.tif") as after:
        assert (after.crs, after.transform, after.shape) == (
            before.crs,
            before.transform,
            before.shape,
        )
        assert (after.count, after.dtypes, after.nodata) == (1, ("uint8",), 255)
        assert after.colormap(1)[2][:3] == CLASSES[2].color
        found = after.read(1)
    truth = Brightness.truth(bands.transpose(1, 2, 0))
    truth[0], truth[:, 0] = 255, 255
    assert (found == truth).all()
    assert [c.name for c in read_classes(tmp_path / "out" / "scene.tif")] == [
        c.name for c in CLASSES
    ]


def test_every_product_says_what_its_bands_are(scene, tmp_path):
    path, bands = scene
    run(path, tmp_path / "out", ALL)
    where = tmp_path / "out" / "scene.tif"
    pixels = torch.from_numpy(bands)[None]
    maps = Brightness().maps(Brightness().logits(pixels)[0])
    main, other = maps["sem_seg"], maps["sem_seg_local"]
    wanted = {
        "confidence": main.amax(dim=0),
        "entropy": entropy(main),
        "disagreement": disagreement([main, other]),
    }
    for name, values in wanted.items():
        path = product(where, "uncertainty")
        found = read(path, band_named(path, name))
        assert (found[0] == 255).all()
        difference = found[1:, 1:] - 254 * values[1:, 1:].numpy()
        assert np.abs(difference).max() < 0.51, name
    path = product(where, "probabilities")
    found = read(path, band_named(path, "class 3"))
    assert np.abs(found[1:, 1:] - 254 * main[3, 1:, 1:].numpy()).max() < 0.51
    with rasterio.open(path) as file:
        assert file.scales[0] == pytest.approx(1 / 254)
    assert (read(product(where, "local")) == read(where)).all()


def test_files_are_cloud_optimised_and_named(scene, tmp_path):
    cogeo = pytest.importorskip("rio_cogeo", reason="rio-cogeo is of the extra `dev`")
    run(scene[0], tmp_path / "out", ALL)
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    tiffs = [
        f"scene{end}.tif" for end in ("", "_global", "_local", "_probabilities", "_uncertainty")
    ]
    names = [f"scene{end}.tif.aux.xml" for end in ("", "_global", "_local")]
    assert written == sorted([*tiffs, *names, "scene.json"])
    for name in tiffs:
        valid, errors, warnings = cogeo.cog_validate(str(tmp_path / "out" / name), strict=True)
        assert valid, (errors, warnings)
    assert "<Category>class 5</Category>" in (tmp_path / "out" / names[0]).read_text()


def test_a_large_map_has_overviews_of_classes_that_exist(tmp_path):
    bands = np.random.default_rng(0).integers(0, 2, (3, 600, 1100)).astype(np.uint8) * 255
    write_raster(tmp_path / "in.tif", bands)
    predict_scene(
        Source(str(tmp_path / "in.tif"), "scene"), tmp_path / "out", Brightness(),
        Carried("toy", CLASSES), Plan(window=300, stride=256),
    )  # fmt: skip
    with rasterio.open(tmp_path / "out" / "scene.tif") as file:
        assert file.overviews(1)
        assert {*np.unique(file.read(1, out_shape=(60, 110)))} <= {0, 5}
        assert (file.read(1) == Brightness.truth(bands.transpose(1, 2, 0))).all()


def test_a_finished_scene_is_known_by_file_and_plan(scene, tmp_path):
    path, bands = scene
    source, output = Source(str(path), "scene"), tmp_path / "out"
    assert not is_finished(source, output, plan())
    run(path, output)
    assert is_finished(source, output, plan())
    assert not is_finished(source, output, plan(network=(("weights", "another"),)))
    assert not is_finished(source, output, plan(ALL))
    write_raster(path, bands[:, :49])
    assert not is_finished(source, output, plan())
    run(path, output)
    assert is_finished(source, output, plan())
    (output / "scene.tif").unlink()
    assert not is_finished(source, output, plan())


class Broken(Brightness):
    """Fails in the middle of a scene."""

    def logits(self, images):
        if len(self.seen) == 3:
            raise ValueError("no more")
        return super().logits(images)


def test_what_fails_leaves_nothing_and_what_was_there_stays(scene, tmp_path):
    output = tmp_path / "out"
    with pytest.raises(ValueError, match="no more"):
        run(scene[0], output, ALL, network=Broken())
    assert [*output.iterdir()] == []
    run(scene[0], output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    with pytest.raises(ValueError, match="no more"):
        run(scene[0], output, ALL, network=Broken())
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_the_rest_of_a_killed_run_goes(scene, tmp_path):
    left = tmp_path / "out" / ".scene.predicting"
    left.mkdir(parents=True)
    (left / "map.draft").write_text("torn")
    run(scene[0], tmp_path / "out")
    assert not left.exists()


def test_the_record_says_how_much_there_is_of_each_class(scene, tmp_path):
    path, bands = scene
    run(path, tmp_path / "out")
    record = record_of(tmp_path / "out", "scene")
    truth = Brightness.truth(bands.transpose(1, 2, 0))[1:, 1:]
    assert record["nodata"] == 50 + 70 - 1
    for number, entry in enumerate(CLASSES):
        assert record["classes"][entry.name] == pytest.approx((truth == number).mean(), abs=1e-5)
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize(("pixel", "factor"), [(1.0, 1.0), (1.04, 1.0), (2.0, 2.0), (0.2, 0.2)])
def test_a_scene_of_another_resolution_is_read_at_that_of_the_training(tmp_path, pixel, factor):
    bands = np.zeros((3, 40, 60), np.uint8)
    bands[:, :, 30:] = 230
    write_raster(tmp_path / "in.tif", bands, pixel=pixel)
    known = Carried("toy", CLASSES, resolution=1.0)
    said = run(tmp_path / "in.tif", tmp_path / "out", known=known)
    record = record_of(tmp_path / "out", "scene")
    assert record["enlarged"] == pytest.approx(factor, rel=2e-3)
    assert len(said) == (factor != 1)
    assert ("look twice" in "".join(said)) == (pixel == 0.2)
    found = read(tmp_path / "out" / "scene.tif")
    assert found.shape == (40, 60)
    assert (found[:, :22] == 0).all()
    assert (found[:, 38:] == 5).all()
    assert run(tmp_path / "in.tif", tmp_path / "out", known=known, warp=False) == []
    assert record_of(tmp_path / "out", "scene")["enlarged"] == 1


def test_without_a_place_nothing_is_warped_and_that_is_said(tmp_path):
    bands = np.full((3, 20, 20), 100, np.uint8)
    identity = {"crs": None, "origin": (0, 0), "pixel": 1.0}
    write_raster(tmp_path / "in.tif", bands, **identity)
    with (
        rasterio.open(tmp_path / "in.tif", "r+") as file,
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
    ):
        file.transform = rasterio.Affine.identity()
    (said,) = run(tmp_path / "in.tif", tmp_path / "out", known=Carried("toy", CLASSES, None, 0.5))
    assert "no georeference" in said
    with opened(str(tmp_path / "out" / "scene.tif")) as file:
        assert file.crs is None


@pytest.mark.parametrize("turn", [(0.8, -0.6, 0.6, 0.8), (1.0, 0.0, 0.0, 1.0)])
def test_a_rotated_and_a_south_up_scene_keep_their_grid(tmp_path, turn):
    a, b, d, e = turn
    wanted = rasterio.Affine(a, b, 5e5, d, e, 2.8e6)
    bands = np.random.default_rng(0).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    path = write_raster(tmp_path / "in.tif", bands)
    with rasterio.open(path, "r+") as file:
        file.transform = wanted
    run(path, tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "scene.tif") as file:
        assert file.transform.almost_equals(wanted)
        assert (file.read(1) == Brightness.truth(bands.transpose(1, 2, 0))).all()


def test_sixteen_bits_are_read_as_the_training_read_them(tmp_path):
    raster = RasterSpec(bands=(3, 2, 1), scale=ScaleSpec("range", (0.0,), (2550.0,)), nodata=7.0)
    bands = np.random.default_rng(0).integers(0, 256, (4, 20, 30)).astype(np.uint16) * 10
    bands[:, 5, 5] = 7
    write_raster(tmp_path / "in.tif", bands)
    run(tmp_path / "in.tif", tmp_path / "out", known=Carried("toy", CLASSES, raster))
    truth = Brightness.truth((bands[[2, 1, 0]] / 10).transpose(1, 2, 0))
    truth[5, 5] = 255
    assert (read(tmp_path / "out" / "scene.tif") == truth).all()
    with pytest.raises(ValueError, match=r"uint16 values .* how to scale"):
        run(tmp_path / "in.tif", tmp_path / "out")
    narrow = Carried("toy", CLASSES, RasterSpec(bands=(1, 2, 3, 5)))
    with pytest.raises(ValueError, match=r"has 4 bands; raster.bands asks for \[1, 2, 3, 5\]"):
        run(tmp_path / "in.tif", tmp_path / "out", known=narrow)


def test_a_photograph_becomes_a_palette_and_an_overlay(tmp_path):
    import cv2
    from PIL import Image

    bands = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "in.png"), bands[..., ::-1])
    run(tmp_path / "in.png", tmp_path / "out", ALL)
    with Image.open(tmp_path / "out" / "scene.png") as image:
        assert image.mode == "P"
        found = np.asarray(image)
        colors = np.asarray(image.convert("RGB"))
    truth = Brightness.truth(bands)
    assert (found == truth).all()
    assert (colors == np.array([c.color for c in CLASSES])[truth]).all()
    overlay = cv2.imread(str(tmp_path / "out" / "scene_overlay.png"))[..., ::-1].astype(int)
    assert np.abs(overlay - (colors.astype(int) + bands) / 2).max() <= 1
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"scene_confidence.png", "scene_probability_5.png", "scene_local.png"} <= written


def test_the_top_class_is_the_first_of_the_largest():
    probs = torch.randint(0, 4, (7, 30, 40), generator=torch.Generator().manual_seed(0)) / 4
    expected = [min(range(7), key=lambda c: (-pixel[c], c)) for pixel in probs.flatten(1).T]
    assert top_class(probs).flatten().tolist() == expected


def test_crs_is_that_of_the_scene(scene, tmp_path):
    run(scene[0], tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "scene.tif") as file:
        assert file.crs == rasterio.CRS.from_string(CRS)


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "parquet"])
def test_polygons_lie_beside_the_map_and_fill_it(scene, tmp_path, kind):
    path, _ = scene
    outlines = Outlines(kind, min_area=4.0)
    run(path, tmp_path / "out", Wanted(("confidence",)), outlines=outlines)
    record = record_of(tmp_path / "out", "scene")
    assert f"scene.{kind}" in record["files"]
    if kind != "parquet":
        import pyogrio.raw
        import shapely

        meta, _, shapes, _ = pyogrio.raw.read(tmp_path / "out" / f"scene.{kind}")
        assert {"class", "value", "area", "confidence"} <= {*meta["fields"]}
        assert shapely.area(shapely.from_wkb(shapes)).sum() == pytest.approx(49 * 69)
    assert is_finished(
        Source(str(path), "scene"),
        tmp_path / "out",
        plan(Wanted(("confidence",)), outlines=outlines),
    )


def test_a_photograph_has_no_polygons(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "in.png"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ValueError, match="is a picture: polygons"):
        run(tmp_path / "in.png", tmp_path / "out", outlines=Outlines("gpkg"))
