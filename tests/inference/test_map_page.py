"""The map page without a browser: what is read, what a click tells, what is saved."""

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from co2s.inference.map_page.areas import save_areas
from co2s.inference.map_page.coarse import CoarseCopy
from co2s.inference.map_page.files import open_files
from co2s.inference.map_page.layers import SceneLayer
from co2s.inference.map_page.page import Page
from co2s.inference.map_page.parts import Part, View, part_of
from co2s.inference.map_page.texts import coordinates, legend
from co2s.inference.products import NODATA, product

from ..geo import CRS, rasterio, write_raster
from .map_files import CLASSES, write_map

pytest.importorskip("bokeh", reason="bokeh is the extra `web`")
pyogrio = pytest.importorskip("pyogrio", reason="pyogrio is the extra `geo`")

from bokeh.document import Document  # noqa: E402

H, W = 40, 60


@pytest.fixture
def labels():
    labels = np.zeros((H, W), np.uint8)
    labels[:, 20:] = 1
    labels[:, 40:] = 2
    labels[:5] = NODATA
    return labels


@pytest.fixture
def paths(tmp_path, labels):
    """A scene and its class map, with the maps of the students and the doubt beside it."""
    scene = np.arange(3 * H * W).reshape(3, H, W).astype(np.uint8)
    doubt = np.full((H, W), 127)
    write_raster(tmp_path / "s.tif", scene)
    write_map(tmp_path / "m.tif", labels, confidence=doubt, disagreement=doubt)
    write_map(tmp_path / "m_global.tif", np.where(labels == 0, 1, labels))
    write_map(tmp_path / "m_local.tif", labels)
    shares = {"classes": {"water": 0.25, "field": 0.35, CLASSES[2].name: 0.4}}
    (tmp_path / "m.json").write_text(json.dumps(shares))
    return tmp_path / "s.tif", tmp_path / "m.tif"


@pytest.fixture
def page(paths, tmp_path):
    with open_files(*paths) as files:
        yield Page(Document(), files, tmp_path / "areas.gpkg")


def drawn(page, name):
    return next(one for one in page.canvas.drawn if one.layer.name == name)


def shown(page, name):
    """(h, w, 4) of a layer as the browser has it."""
    (image,) = drawn(page, name).data.data["image"]
    return image.view(np.uint8).reshape(*image.shape, 4)


def tap(page, x, y):
    page.on_tap(SimpleNamespace(x=x, y=y))
    return page.told.text


def box(page, x0, x1, y0, y1, final=True):
    geometry = {"type": "rect", "x0": x0, "x1": x1, "y0": y0, "y1": y1}
    page.on_box(SimpleNamespace(geometry=geometry, final=final))


def read(path):
    about, _, shapes, values = pyogrio.raw.read(path, layer="suggestions")
    bounds = [pytest.importorskip("shapely").from_wkb(shape).bounds for shape in shapes]
    return about, bounds, dict(zip(about["fields"], values, strict=True))


def test_only_what_is_seen_is_read_and_no_finer_than_the_screen():
    assert part_of(View(0, 500, 0, 400), (16000, 16000)) == Part((0, 0, 440, 550), (440, 550))
    far = part_of(View(-100, 16100, -100, 16100), (16000, 16000))
    assert far == Part((0, 0, 16000, 16000), (1200, 1200))
    assert far.factor == pytest.approx(16000 / 1200)
    wide = part_of(View(1000, 11000, 5000, 7000), (8000, 12000))
    assert wide == Part((4800, 0, 2400, 12000), (240, 1200))
    assert part_of(View(-900, -100, 0, 400), (500, 500)) is None


def test_layers_have_the_colours_of_what_they_show(page, labels):
    colors = np.array([(*c.color, 255) for c in CLASSES] + [(0, 0, 0, 0)])
    number = np.where(labels == NODATA, 3, labels)
    np.testing.assert_array_equal(shown(page, "fused"), colors[number])
    scene = np.arange(3 * H * W).reshape(3, H, W).astype(np.uint8)
    np.testing.assert_array_equal(shown(page, "scene")[..., :3], scene.transpose(1, 2, 0))
    assert (shown(page, "scene")[..., 3] == 255).all()
    names = ["scene", "fused", "global", "local", "confidence", "disagreement"]
    assert [one.layer.name for one in page.canvas.drawn] == names


def test_a_hidden_layer_is_read_when_it_is_shown(page, labels):
    assert drawn(page, "confidence").data.data["image"] == []
    page.switches["confidence"].children[0].active = True
    assert drawn(page, "confidence").renderer.visible
    colors = shown(page, "confidence")
    assert len(np.unique(colors[labels != NODATA], axis=0)) == 1
    assert (colors[labels == NODATA] == 0).all()


def test_moving_reads_anew_but_only_once_for_many_moves(page, labels):
    figure, doc = page.canvas.figure, page._doc
    for end in (30, 20, 10):
        figure.x_range.update(start=0, end=end)
        figure.y_range.update(start=7.6, end=0)
    (waiting,) = doc.session_callbacks
    assert shown(page, "fused").shape[:2] == (H, W)
    waiting.callback()
    assert shown(page, "fused").shape[:2] == (9, 11)
    assert drawn(page, "fused").data.data["dw"] == [11]
    figure.x_range.update(start=200, end=210)
    doc.session_callbacks[-1].callback()
    assert drawn(page, "fused").data.data["image"] == []


def test_pixels_are_square_in_a_window_of_any_shape(page):
    canvas, doc = page.canvas, page._doc

    def resize(width, height):
        canvas._on_resize("inner_width", None, width)
        canvas._on_resize("inner_height", None, height)
        doc.session_callbacks[-1].callback()
        view = canvas.view
        across, down = view.right - view.left, view.bottom - view.top
        assert across / width == pytest.approx(down / height)
        return across, down

    across, down = resize(300, 400)
    assert across > W and down > H  # the whole scene
    canvas.figure.x_range.update(start=10, end=20)  # and not y: that comes in a later message
    canvas.load()
    assert resize(600, 400) == pytest.approx((20, 40 / 3))


def test_a_click_tells_what_is_known_of_the_pixel(page):
    told = tap(page, 10.5, 20.2)
    for words in ("water", "field", "50 %", "20, 10", "500010.5, 2799979.5"):
        assert words in told
    assert "a, &lt;b&gt; &amp; &quot;c&quot;" in tap(page, 59.9, 39.9)
    assert "nodata" in tap(page, 3, 2)
    assert "has ended" in tap(page, -0.1, 20)
    assert "has ended" in tap(page, 10, 40)


def test_coordinates_follow_a_turned_grid_and_have_enough_digits(page):
    turned = rasterio.Affine(1e-5, 2e-5, 8.0, 2e-5, -1e-5, 50.0)
    files = SimpleNamespace(transform=turned)
    assert coordinates(files, 2, 4) == ("8.000095", "50.000065")


def test_the_legend_has_names_and_shares(page):
    html = legend(page.files)
    for words in ("water", "25.0 %", "rgb(200, 200, 0)", "&lt;b&gt;", "Confidence, disagreement"):
        assert words in html
    assert "<b>" not in html


def test_areas_are_added_to_the_geopackage(page, tmp_path):
    path = tmp_path / "areas.gpkg"
    assert page.save.disabled
    box(page, 4.2, 14.4, 9.9, 30.2, final=False)
    assert page.boxes == []
    box(page, 4.2, 14.4, 30.2, 9.9)
    box(page, 50, 99, -9, 12)
    box(page, 100, 120, 0, 9)
    assert page.boxes == [(10, 4, 20, 10), (0, 50, 12, 10)] and not page.save.disabled
    page.on_undo()
    page.on_save()
    about, bounds, columns = read(path)
    assert about["crs"] == CRS and columns["class"].tolist() == [None]
    assert bounds == [(500004, 2799970, 500014, 2799990)]
    assert page.boxes == [] and "has 1 area." in page.message.text
    # What somebody has done to the file in between stays.
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE mine (note TEXT)")
    box(page, 0, 10, 0, 10)
    page.on_save()
    assert len(read(path)[1]) == 2 and "has 2 areas" in page.message.text
    with sqlite3.connect(path) as file:
        assert file.execute("SELECT count(*) FROM mine").fetchone() == (0,)
        enum = "SELECT value FROM gpkg_data_column_constraints"
        assert {name for (name,) in file.execute(enum)} == {entry.name for entry in CLASSES}


def test_what_cannot_be_saved_stays_drawn(page, tmp_path, monkeypatch):
    path = tmp_path / "areas.gpkg"
    box(page, 0, 10, 0, 10)
    page.on_save()
    before = path.read_bytes()
    box(page, 20, 30, 0, 10)
    Path(f"{path}-wal").touch()
    page.on_save()
    assert "open in another program" in page.message.text
    Path(f"{path}-wal").unlink()

    def full(*_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("co2s.inference.map_page.areas.write_whole", full)
    page.on_save()
    assert "No space left" in page.message.text
    assert page.boxes == [(0, 20, 10, 10)] and path.read_bytes() == before


def test_a_file_of_areas_must_fit(page, paths, tmp_path):
    windows = [(0, 0, 4, 4)]
    with pytest.raises(ValueError, match="areas are saved as"):
        save_areas(tmp_path / "a.geojson", windows, page.files)
    page.path = tmp_path / "a.gpkg"
    box(page, 0, 4, 0, 4)
    page.on_save()
    elsewhere = SimpleNamespace(**vars(page.files) | {"crs": "EPSG:32641"})
    with pytest.raises(ValueError, match="is in EPSG:32640, the scene in EPSG:32641"):
        save_areas(tmp_path / "a.gpkg", windows, elsewhere)
    (tmp_path / "b.gpkg").write_text("no database")
    with pytest.raises(ValueError, match="cannot be read as a vector file"):
        save_areas(tmp_path / "b.gpkg", windows, page.files)


def test_without_georeference_places_are_pixels(tmp_path, labels):
    write_map(tmp_path / "m.tif", labels, crs=None)
    with rasterio.open(tmp_path / "s.png", "w", driver="PNG", count=1, height=H, width=W,
                       dtype="uint8") as file:  # fmt: skip
        file.write(np.full((1, H, W), 77, np.uint8))
    with open_files(tmp_path / "s.png", tmp_path / "m.tif") as files:
        page = Page(Document(), files, tmp_path / "areas.gpkg")
        assert (shown(page, "scene") == [77, 77, 77, 255]).all()
        told = tap(page, 30, 20)
        assert "field" in told and "x, y" not in told
        assert "%" not in legend(files)
        box(page, 10, 20, 0, 5)
        page.on_save()
        assert "coordinates are pixels" in page.message.text
    about, bounds, _ = read(tmp_path / "areas.gpkg")
    assert about["crs"] is None and bounds == [(10, -5, 20, 0)]


def test_other_than_8_bits_are_stretched_and_nodata_is_transparent(tmp_path):
    values = np.linspace(1000, 3000, 64 * 64).reshape(1, 64, 64).astype(np.uint16)
    values[0, 0] = 0
    path = write_raster(tmp_path / "s.tif", values.repeat(4, axis=0), nodata=0)
    with rasterio.open(path) as source:
        pixels = SceneLayer(path, source, [4]).pixels(Part((0, 0, 64, 64), (64, 64)))
        assert (pixels[0, :, 3] == 0).all() and (pixels[1:, :, 3] == 255).all()
        assert pixels[1, 0, 0] < 5 and pixels[-1, -1, 0] == 255
        assert 110 < pixels[32, 0, 0] < 145
        for bands in ([5], [1, 2], [0, 1, 2]):
            with pytest.raises(ValueError, match=r"--bands takes one band .* \(1 to 4\)"):
                SceneLayer(path, source, bands)


def test_a_large_scene_without_overviews_grows_from_the_top(tmp_path, monkeypatch):
    rows, columns = np.mgrid[:1100, :700]
    path = write_raster(tmp_path / "s.tif", (rows // 10 + columns // 10)[None].astype(np.uint8))
    monkeypatch.setattr("co2s.inference.map_page.layers.LARGE", 1000)
    with rasterio.open(path) as source:
        monkeypatch.setattr(CoarseCopy, "grow_in_thread", lambda copy, read: reads.append(read))
        reads = []
        layer = SceneLayer(path, source)
        assert layer.coarse.factor == 1
        layer.coarse = CoarseCopy(source.shape, side=300)
        assert layer.coarse.factor == 4 and layer.coarse.is_growing
        whole = Part((0, 0, 1100, 700), (110, 70))
        assert (layer.pixels(whole) == 0).all()
        seen = []
        layer.coarse.grow(lambda part: (seen.append(part), reads[0](part))[1])
    assert [part.window for part in seen] == [
        (0, 0, 512, 700), (512, 0, 512, 700), (1024, 0, 76, 700)
    ]  # fmt: skip
    assert not layer.coarse.is_growing
    found = layer.coarse.part(whole)[..., 0].astype(int)
    wanted = np.mgrid[:110, :70].sum(axis=0)
    assert np.abs(found - wanted).max() <= 1


def test_a_scene_that_turns_out_to_be_damaged_is_told(page, monkeypatch):
    def broken(part):
        raise ValueError("s.tif cannot be read as a raster: TIFFReadEncodedStrip")

    copy = CoarseCopy((10, 10))
    copy._try(broken)
    assert not copy.is_growing and "TIFFRead" in str(copy.failure)
    monkeypatch.setattr(drawn(page, "scene").layer, "pixels", broken)
    page.canvas.figure.x_range.update(start=0, end=20)
    page.canvas.load()
    assert "TIFFReadEncodedStrip" in page.message.text


def test_files_that_do_not_belong_together(paths, tmp_path, labels):
    scene, prediction = paths

    def stops(words, one=scene, other=prediction):
        with pytest.raises((ValueError, OSError), match=words), open_files(one, other):
            pass

    stops("--scene .*none.tif: there is no such file", tmp_path / "none.tif")
    stops("--prediction .*none.tif: there is no such", scene, tmp_path / "none.tif")
    stops("s.tif is no class map", scene, scene)
    image = np.zeros((3, H, W), np.uint8)
    shifted = Path(write_raster(tmp_path / "shifted.tif", image, origin=(500001, 2800000)))
    stops("do not lie on one grid: the geotransform", shifted)
    other = Path(write_raster(tmp_path / "other.tif", image, crs="EPSG:32641"))
    stops("do not lie on one grid: EPSG:32641, and EPSG:32640", other)
    small = Path(write_raster(tmp_path / "small.tif", image[:, :9]))
    stops("grid: 9 x 60 pixels, and 40 x 60 pixels", small)
    write_map(product(prediction, "local"), labels[:30])
    stops("m_local.tif and .*m.tif do not lie on one grid")
    picture = tmp_path / "m.png"
    with rasterio.open(picture, "w", driver="PNG", count=1, height=H, width=W, dtype="uint8"):
        pass
    stops("m.png is a picture", scene, picture)
