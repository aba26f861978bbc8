"""Vector labels: polygons drawn as classes on the grid of each image."""

import json
from functools import partial

import numpy as np
import pytest

from co2s.data import get_records, register_dataset
from co2s.data.reading import polygons as polygons_module
from co2s.data.reading.labels import read_classes
from co2s.data.reading.overlaps import overlaps
from co2s.data.reading.polygons import class_of
from co2s.data.reading.samples import load_labeled
from co2s.data.spec.reader import spec_from_dict

from ..geo import CRS, rasterio, write_raster
from ..vectors import pixels, shapely, write_vector
from .conftest import toy_content

SIDE = 8
# Images a, b, c beside each other, d far away.
ORIGINS = {name: (500000 + 100 * n, 2800000) for n, name in enumerate("abcd")}
on = {name: partial(pixels, origin=origin) for name, origin in ORIGINS.items()}


@pytest.fixture
def dataset(tmp_path, clean_catalog):
    """A function that writes four images and polygons, registers them, and returns the spec."""

    def make(features, *, file="labels.gpkg", crs=CRS, labels=None, image_crs=CRS, **changes):
        for name, origin in ORIGINS.items():
            bands = np.full((3, SIDE, SIDE), 9, np.uint8)
            path = tmp_path / f"images/{name}.tif"
            write_raster(path, bands, origin=origin, crs=image_crs)
        if features is not None:
            write_vector(tmp_path / file, features, crs=crs)
        labels = {"vector": file, "column": "class", **(labels or {})}
        layout = {"images": "images/{name}.tif"}
        splits = {"fractions": ["1_1"], "val": {"name": ["c"]}}
        changes = {"labels": labels, "layout": layout, "splits": splits, **changes}
        spec = spec_from_dict(toy_content(**changes))
        register_dataset(spec, tmp_path)
        return spec

    def classes(spec, image="a", window=None):
        path, image = str(tmp_path / spec.labels.vector), str(tmp_path / f"images/{image}.tif")
        return read_classes(path, spec, image, window)

    make.classes = classes
    make.root = tmp_path
    return make


def drawn(*places):
    """(SIDE, SIDE) uint8, the class of each (class, top, left, bottom, right), else 255."""
    found = np.full((SIDE, SIDE), 255, np.uint8)
    for number, top, left, bottom, right in places:
        found[top:bottom, left:right] = number
    return found


@pytest.mark.parametrize("file", ["labels.gpkg", "labels.geojson", "labels.shp"])
def test_a_pixel_has_the_class_of_the_polygon_over_its_centre(dataset, file):
    # 0.4 of a pixel more on every side: no centre more, though each border pixel is touched.
    features = [
        (on["a"](1 - 0.4, 2 - 0.4, 4 + 0.4, 5 + 0.4), "water"),
        (shapely.multipolygons([on["a"](6, 0, 8, 2), on["a"](6, 6, 8, 8)]), "land"),
    ]
    crs = "EPSG:4326" if file.endswith("json") else CRS
    if crs != CRS:
        features = [(in_degrees(shape), value) for shape, value in features]
    spec = dataset(features, file=file, crs=crs)
    expected = drawn((1, 1, 2, 4, 5), (0, 6, 0, 8, 2), (0, 6, 6, 8, 8))
    assert (dataset.classes(spec) == expected).all()
    assert (dataset.classes(spec, window=(1, 4, 6, 3)) == expected[1:7, 4:7]).all()
    assert (dataset.classes(spec, "b") == 255).all()


def in_degrees(shape):
    from pyproj import Transformer

    change = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    return shapely.transform(shape, change.transform, interleaved=False)


def test_geoparquet(dataset, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    shapes = [shapely.to_wkb(in_degrees(on["a"](0, 0, 2, 3)))]
    table = pyarrow.table({"geometry": shapes, "class": ["water"]})
    about = {"primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    parquet.write_table(
        table.replace_schema_metadata({"geo": json.dumps(about)}), tmp_path / "labels.parquet"
    )
    spec = dataset(None, file="labels.parquet")
    assert (dataset.classes(spec) == drawn((1, 0, 0, 2, 3))).all()
    parquet.write_table(table.replace_schema_metadata({}), tmp_path / "labels.parquet")
    with pytest.raises(ValueError, match=r"labels\.parquet cannot be read as a GeoParquet file"):
        dataset.classes(spec)


def test_turned_and_upside_down_images(dataset, tmp_path):
    spec = dataset([(on["a"](0, 0, 2, 8), "water"), (on["a"](2, 0, 4, 8), "land")])
    whole = dataset.classes(spec)
    x, y = ORIGINS["a"]
    turns = {  # rows from south to north; columns from north to south
        "s": (rasterio.Affine(1, 0, x, 0, 1, y - SIDE), whole[::-1]),
        "t": (rasterio.Affine(0, 1, x, -1, 0, y), whole.T),
    }
    for name, (transform, expected) in turns.items():
        size = {"height": SIDE, "width": SIDE, "count": 3, "dtype": "uint8"}
        path = tmp_path / f"images/{name}.tif"
        with rasterio.open(path, "w", "GTiff", **size, crs=CRS, transform=transform) as file:
            file.write(np.full((3, SIDE, SIDE), 9, np.uint8))
        assert (dataset.classes(spec, name) == expected).all()


def test_overlaps_of_different_classes_are_ignored_and_found(dataset):
    features = [
        (on["a"](0, 0, 4, 4), "land"),
        (on["a"](2, 2, 6, 6), "water"),
        (on["a"](0, 3, 3, 5), "land"),  # over one of its own class: no contradiction
        (on["b"](0, 0, 3, 3), "land"),
        (on["b"](0, 3, 3, 6), "water"),  # has a side in common only
        (on["b"](3, 0, 6, 3.4), "water"),
        (on["b"](3, 2.6, 6, 6), "land"),  # over it, but over no centre of a pixel
    ]
    spec = dataset(features)
    classes = dataset.classes(spec)
    assert (classes[2:4, 2:4] == 255).all() and classes[2, 4] == 255
    assert (classes[0:2, 0:5] == 0).all() and classes[3, 4] == classes[5, 5] == 1
    path, image = str(dataset.root / "labels.gpkg"), str(dataset.root / "images/a.tif")
    first, second = overlaps(path, spec, image)
    assert first == ((1, 2), (0, 1), 4, (2, 2))
    assert second == ((2, 3), (1, 0), 2, (2, 3))
    assert overlaps(path, spec, image.replace("a.tif", "b.tif")) == []


def test_empty_classes_are_passed_over_and_counted(dataset, log):
    point = shapely.points(0, 0)
    features = [(on["a"](0, 0, 2, 2), ""), (on["a"](2, 0, 4, 2), None), (point, None)]
    spec = dataset([*features, (on["a"](4, 0, 6, 2), " water ")])
    assert (dataset.classes(spec) == drawn((1, 4, 0, 6, 2))).all()
    assert "3 of 4 features have no class in 'class'" in log.text


@pytest.mark.parametrize(
    ("value", "number"),
    [("land", 0), ("1", 1), (1, 1), (0.0, 0), (None, -1), (float("nan"), -1), ("  ", -1)]
    + [(value, None) for value in ("Land", "2", 2, -1, 0.5, "sky", True, float("inf"), "²")],
)
def test_what_a_value_of_the_column_stands_for(value, number):
    assert class_of(value, ("land", "water")) == number


def test_numbers_in_the_column(dataset):
    spec = dataset([(on["a"](0, 0, 2, 2), 1), (on["a"](2, 0, 4, 2), 0)])
    assert (dataset.classes(spec) == drawn((1, 0, 0, 2, 2), (0, 2, 0, 4, 2))).all()


def test_a_polygon_that_crosses_itself_is_mended(dataset):
    x, y = ORIGINS["a"]
    bow = shapely.polygons([(x, y), (x + 8, y - 8), (x + 8, y), (x, y - 8), (x, y)])
    spec = dataset([(bow, "water")])
    classes = dataset.classes(spec)
    # The left and right quarters; which of the two diagonals' centres count is GDAL's to say.
    rows, columns = np.indices((SIDE, SIDE)) + 0.5
    left = (columns < rows) & (columns < 8 - rows)
    assert (classes[left | left[:, ::-1]] == 1).all()
    top = (rows < columns) & (rows < 8 - columns)
    assert (classes[top | top[::-1]] == 255).all()


def test_the_images_and_windows_that_polygons_touch_are_labelled(dataset):
    features = [(on["a"](0, 0, 2, 2), "water"), (on["c"](5, 5, 7, 7), "land")]
    features += [(on["b"](0, 0, 2, 2), ""), (on["d"](0, 0, 8, 0.3), "land")]  # over no centre
    spec = dataset(features)
    assert ids("toy_1_1_labeled") == ["images/a.tif"] and ids("toy_val") == ["images/c.tif"]
    assert ids("toy_1_1_unlabeled") == ["images/b.tif", "images/d.tif"]
    layout = {"images": "images/{name}.tif", "window": 4}
    spec = dataset(features, name="cut", layout=layout)
    assert ids("cut_1_1_labeled") == ["images/a.tif@0_0"] and ids("cut_val") == ["images/c.tif@4_4"]
    unlabeled = ids("cut_1_1_unlabeled")
    assert len(unlabeled) == 3 + 4 + 4 and "images/a.tif@0_4" in unlabeled
    assert all("sem_seg_file_name" not in r for r in get_records("cut_1_1_unlabeled"))
    image, classes = load_labeled(get_records("cut_val")[0], spec)
    assert image.size == (4, 4) and (classes == drawn((0, 1, 1, 3, 3))[:4, :4]).all()


def ids(name):
    return [record["image_id"] for record in get_records(name)]


def test_lists_with_polygons(dataset, tmp_path):
    (tmp_path / "splits/1_1").mkdir(parents=True)
    (tmp_path / "splits/1_1/labeled.txt").write_text("images/a.tif\n")
    (tmp_path / "splits/1_1/unlabeled.txt").write_text("images/d.tif\n")
    (tmp_path / "splits/val.txt").write_text("images/c.tif\n")
    lists = {"splits": {"folder": "splits", "fractions": ["1_1"]}}
    features = [(on["a"](0, 0, 2, 2), "water"), (on["c"](6, 6, 8, 8), "land")]
    dataset(features, layout=None, **lists)
    assert get_records("toy_1_1_labeled")[0]["sem_seg_file_name"].endswith("labels.gpkg")
    dataset(None, name="cut", layout={"images": "images/{name}.tif", "window": 4}, **lists)
    assert ids("cut_1_1_labeled") == ["images/a.tif@0_0"] and ids("cut_val") == ["images/c.tif@4_4"]
    (tmp_path / "splits/val.txt").write_text("images/b.tif\n")
    dataset(None, layout=None, **lists)
    with pytest.raises(ValueError, match=r"val\.txt: images/b\.tif has no label"):
        get_records("toy_val")


def test_one_read_of_the_file_until_it_changes(dataset, monkeypatch):
    reads = []
    real = polygons_module.read_features
    monkeypatch.setattr(
        polygons_module, "read_features", lambda *args: reads.append(args) or real(*args)
    )
    spec = dataset([(on["a"](0, 0, 2, 2), "water")])
    for _ in range(3):
        dataset.classes(spec)
    assert len(reads) == 1
    write_vector(dataset.root / "labels.gpkg", [(on["a"](0, 0, 2, 2), "land")] * 9)
    assert (dataset.classes(spec) == drawn((0, 0, 0, 2, 2))).all() and len(reads) == 2


def test_layers(dataset, tmp_path):
    square = [(on["a"](0, 0, 2, 2), "water")]
    write_vector(tmp_path / "labels.gpkg", [(on["a"](2, 2, 4, 4), "land")], layer="old")
    write_vector(tmp_path / "labels.gpkg", square, layer="new", append=True)
    with pytest.raises(ValueError, match=r"has the layers \['old', 'new'\]: say which one"):
        dataset.classes(dataset(None))
    spec = dataset(None, name="b", labels={"layer": "new"})
    assert (dataset.classes(spec) == drawn((1, 0, 0, 2, 2))).all()
    with pytest.raises(ValueError, match=r"no layer 'none' \(labels\.layer\), but \['old', 'new'"):
        dataset.classes(dataset(None, name="c", labels={"layer": "none"}))


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ([(on["a"](0, 0, 2, 2), "sky")], r"1 values .* \(feature 1: 'sky'\).* 0 land, 1 water"),
        ([(shapely.points(0, 0), "land")], r"no polygons \(feature 1 is point\)"),
        ([(None, "land")], r"no polygons \(feature 1 is missing\)"),
        ([(shapely.from_wkt("POLYGON EMPTY"), "land")], r"\(feature 1 is empty\)"),
        ([(shapely.polygons([(0, 0), (1, 1), (0, 0)]), "land")], "feature 1 .* without an area"),
    ],
)
def test_wrong_features_are_named(dataset, features, words):
    spec = dataset(features)
    with pytest.raises(ValueError, match=rf"labels\.gpkg.*{words}"):
        dataset.classes(spec)


def test_wrong_columns_and_images(dataset):
    square = [(on["a"](0, 0, 2, 2), "water")]
    with pytest.raises(ValueError, match=r"no column 'kind' \(labels\.column\), but \['class'\]"):
        dataset.classes(dataset(square, labels={"column": "kind"}))
    with pytest.raises(ValueError, match=r"a\.tif has no CRS: polygons"):
        dataset.classes(dataset(None, name="b", image_crs=None))


def test_a_file_that_has_no_crs_or_is_none(dataset, tmp_path):
    square = [(on["a"](0, 0, 2, 2), "water")]
    with pytest.raises(ValueError, match=r"labels\.shp, layer 'labels', has no CRS"):
        dataset.classes(dataset(square, file="labels.shp", crs=None))
    (tmp_path / "text.gpkg").write_text("no polygons")
    spec = dataset(None, name="b", labels={"vector": "text.gpkg"})
    with pytest.raises(ValueError, match=r"text\.gpkg cannot be read as a vector file"):
        dataset.classes(spec)
    dataset(None, name="c", labels={"vector": "none.gpkg"})
    with pytest.raises(FileNotFoundError, match=r"none\.gpkg \(labels\.vector\) is missing"):
        get_records("c_1_1_labeled")


def test_polygons_and_images_must_meet(dataset):
    dataset([(on["a"](20, 20, 22, 22), "water")])
    with pytest.raises(ValueError, match=r"labels none of the 3 images: its 1 labelled .*zone 40N"):
        get_records("toy_1_1_labeled")
    dataset(None, name="b", splits={"fractions": ["1_1"], "val": {"name": ["c", "a"]}})
    features = [(on["a"](0, 0, 2, 2), "water")]
    dataset(features, name="b", splits={"fractions": ["1_1"], "val": {"name": ["c", "a"]}})
    with pytest.raises(ValueError, match=r"no labelled polygon on .*c\.tif, which splits\.val"):
        get_records("b_val")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"column": None}, r"labels\.column the column of it .* found 'labels\.gpkg' and None"),
        ({"ignore": [3]}, "labels.ignore has no meaning for encoding: vector"),
        ({"map": {1: 0}}, "labels.map has no meaning for encoding: vector"),
        ({"encoding": "index"}, "labels.vector has no meaning for encoding: index"),
    ],
)
def test_wrong_label_sections(dataset, labels, words):
    with pytest.raises(ValueError, match=words):
        dataset(None, labels=labels)


def test_two_places_of_labels(dataset):
    layout = {"images": "images/{name}.tif", "labels": "masks/{name}.tif"}
    with pytest.raises(ValueError, match=r"layout\.labels and labels\.vector both say"):
        dataset(None, layout=layout)
