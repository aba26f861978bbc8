"""Polygons of a class map: exact corners, no seams, nothing that one cannot open again."""

import json

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio", reason="rasterio is the extra `geo`")
pyogrio = pytest.importorskip("pyogrio", reason="pyogrio is the extra `geo`")
shapely = pytest.importorskip("shapely", reason="shapely is the extra `geo`")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is the extra `geo`")

import pyproj  # noqa: E402
from rasterio import Affine  # noqa: E402
from rasterio.features import rasterize  # noqa: E402

from co2s.inference.polygons import features, strips  # noqa: E402
from co2s.inference.polygons.writing import write_polygons  # noqa: E402
from co2s.inference.products import (  # noqa: E402
    CLASSES_TAG,
    NODATA,
    MapClass,
    classes_as_text,
    product,
)
from tests.geo import CRS  # noqa: E402

CLASSES = [MapClass(n, name, (n, n, n)) for n, name in enumerate(["field", "water", "Straße"])]
NORTH_UP = Affine(2, 0, 500000, 0, -2, 2800000)  # pixels of 2 m
UNIT = Affine(1, 0, 7, 0, -1, 9)
FORMATS = [".gpkg", ".geojson", ".parquet"]

# Of rasters and CRS that only tests make.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Dataset has no geotransform"),
    pytest.mark.filterwarnings("ignore:You will likely lose important projection information"),
]

SMALL = [[0, 0, 0, 1], [0, 2, 0, 1], [0, 0, 0, NODATA]]


@pytest.fixture
def class_map(tmp_path):
    """A function (classes, crs, transform, confidence) -> the path of a class map."""

    def make(classes, crs=CRS, transform=NORTH_UP, confidence=None):
        classes = np.array(classes, np.uint8)
        path = tmp_path / "map.tif"
        about = {"driver": "GTiff", "dtype": "uint8", "nodata": NODATA, "count": 1, "crs": crs}
        about |= {"height": classes.shape[0], "width": classes.shape[1], "transform": transform}
        with rasterio.open(path, "w", **about) as file:
            file.write(classes, 1)
            file.update_tags(**{CLASSES_TAG: classes_as_text(CLASSES)})
        if confidence is not None:
            with rasterio.open(product(path, "uncertainty"), "w", **about | {"count": 2}) as file:
                file.write(np.array(confidence, np.uint8), 2)
                file.descriptions = ("entropy", "confidence")
        return path

    return make


def read(path):
    """The geometries of a file and its attributes, in the order of the polygons' text."""
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
        geometry = shapely.from_wkb(table["geometry"].to_numpy())
        names = table.schema.names[:-1]
        values = [table[name].to_numpy() for name in names]
    else:
        about, _, geometry, values = pyogrio.raw.read(path)
        geometry, names = shapely.from_wkb(geometry), about["fields"]
    order = np.argsort(shapely.to_wkt(shapely.normalize(geometry)))
    columns = {name: column[order].tolist() for name, column in zip(names, values, strict=True)}
    return geometry[order], columns


def crs_of(path):
    if path.suffix != ".parquet":
        return pyproj.CRS(pyogrio.read_info(path)["crs"])
    about = json.loads(parquet.read_schema(path).metadata[b"geo"])
    return pyproj.CRS.from_json_dict(about["columns"]["geometry"]["crs"])


def texts(geometries):
    return sorted(shapely.to_wkt(shapely.normalize(geometries)))


def noise(seed, shape=(13, 11)):
    """Speckles, blocks, holes and diagonals."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, shape)
    if seed % 2:
        classes = np.kron(classes[::2, ::2], np.ones((2, 2), int))[: shape[0], : shape[1]]
    classes[rng.random(shape) < 0.15] = NODATA
    return classes.astype(np.uint8)


@pytest.mark.parametrize("suffix", FORMATS)
def test_polygons_have_the_map_s_crs_their_class_area_and_confidence(class_map, tmp_path, suffix):
    confidence = np.full((3, 4), 254)
    confidence[0, 3], confidence[1, 3], confidence[1, 1] = 127, NODATA, NODATA
    path = class_map(SMALL, confidence=confidence)
    output = tmp_path / "out" / f"fields{suffix}"
    summary = write_polygons(path, output, confidence=product(path, "uncertainty"))
    assert summary == (3, {"field": 32.0, "water": 8.0, "Straße": 4.0}, "m2")

    geometry, columns = read(output)
    shell = [(0, 0), (0, 3), (3, 3), (3, 2), (3, 0)]
    hole = [(1, 1), (2, 1), (2, 2), (1, 2)]
    water = [(3, 0), (3, 2), (4, 2), (4, 0)]
    places = [[NORTH_UP @ corner for corner in ring] for ring in (shell, hole, water)]
    expected = [shapely.Polygon(places[0], [places[1]]), *map(shapely.Polygon, places[1:])]
    assert texts(geometry) == texts(expected)
    by_name = dict(zip(columns["class"], range(3), strict=True))
    order = [by_name[name] for name in ("field", "water", "Straße")]
    assert [columns["value"][i] for i in order] == [0, 1, 2]
    assert [columns["area"][i] for i in order] == [32, 8, 4]
    sure = [columns["confidence"][i] for i in order]
    assert sure[:2] == [1, 0.5], "the mean of the pixels that have a confidence"
    assert sure[2] is None or np.isnan(sure[2])
    assert crs_of(output) == pyproj.CRS(CRS)
    if suffix != ".parquet":
        assert pyogrio.list_layers(output)[0][0] == "fields"
    assert all(ring.is_ccw for ring in shapely.get_exterior_ring(geometry))


def test_geoparquet_says_what_it_holds(class_map, tmp_path):
    write_polygons(class_map(SMALL), tmp_path / "a.parquet")
    about = json.loads(parquet.read_schema(tmp_path / "a.parquet").metadata[b"geo"])
    column = about["columns"][about["primary_column"]]
    assert about["version"] == "1.1.0"
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
    assert column["bbox"] == [500000, 2799994, 500008, 2800000]
    assert parquet.read_schema(tmp_path / "a.parquet").names == [
        "class",
        "value",
        "area",
        "geometry",
    ]


@pytest.mark.parametrize("seed", range(4))
def test_no_seam_shows_whatever_the_height_of_the_strips(class_map, tmp_path, monkeypatch, seed):
    classes = noise(seed)
    sure = np.where(classes == NODATA, NODATA, np.arange(classes.size).reshape(classes.shape) % 254)
    path = class_map(classes, transform=UNIT, confidence=sure)
    output, found = tmp_path / "a.parquet", []
    for rows, batch in ((1, 8), (2, 8), (5, 2**18), (100, 8), (100, 2**18)):
        monkeypatch.setattr(strips, "STRIP", rows * classes.shape[1])
        monkeypatch.setattr(features, "BATCH", batch)  # corners
        doubt = product(path, "uncertainty")
        count = write_polygons(path, output, confidence=doubt).polygons
        geometry, columns = read(output)
        assert count == len(geometry)
        assert shapely.is_valid(geometry).all()
        assert shapely.coverage_is_valid(geometry), "corners along shared borders are the same"
        burned = rasterize(
            zip(geometry, columns["value"], strict=True),
            classes.shape,
            fill=NODATA,
            transform=UNIT,
            dtype="uint8",
        )
        np.testing.assert_array_equal(burned, classes)
        found.append([*zip(texts(geometry), columns["confidence"], strict=True)])
        weighted = np.multiply(columns["area"], columns["confidence"]).sum()
        assert weighted == pytest.approx(sure[sure != NODATA].sum() / 254)
    assert all(other == found[0] for other in found)


def test_straight_borders_get_no_corner_where_strips_meet(class_map, tmp_path, monkeypatch):
    monkeypatch.setattr(strips, "STRIP", 2)
    write_polygons(class_map([[0, 1]] * 5), tmp_path / "a.gpkg")
    geometry, _ = read(tmp_path / "a.gpkg")
    assert shapely.get_num_coordinates(geometry).tolist() == [5, 5]


def test_a_component_that_meets_itself_at_a_corner_has_a_hole(class_map, tmp_path, monkeypatch):
    # The 0s around the 1 touch across a corner; only the last strip shows that they are one.
    classes = [[0, 0, 0, 2], [0, 1, 0, 2], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    for rows in (1, 2, 5):
        monkeypatch.setattr(strips, "STRIP", 4 * rows)
        write_polygons(class_map(classes), tmp_path / "a.gpkg")
        geometry, columns = read(tmp_path / "a.gpkg")
        around = geometry[columns["value"].index(0)]
        assert len(geometry) == 3 and around.is_valid
        assert (len(around.interiors), around.area) == (1, 4 * 13)


@pytest.mark.parametrize("rows", [7, 100])
def test_simplified_polygons_have_no_gaps_or_overlaps(class_map, tmp_path, monkeypatch, rows):
    y, x = np.mgrid[:40, :40]
    classes = (np.hypot(y - 10, x - 14) < 9).astype(np.uint8) + ((y + x) % 47 > 30)
    classes[(y - 30) ** 2 + (x - 30) ** 2 < 40] = NODATA
    path = class_map(classes, transform=UNIT)
    monkeypatch.setattr(strips, "STRIP", rows * 40)
    write_polygons(path, tmp_path / "exact.gpkg")
    exact, _ = read(tmp_path / "exact.gpkg")
    summary = write_polygons(path, tmp_path / "a.gpkg", simplify=2)
    geometry, columns = read(tmp_path / "a.gpkg")

    valid = np.sum(classes != NODATA)
    assert shapely.get_num_coordinates(geometry).sum() < shapely.get_num_coordinates(exact).sum()
    assert shapely.coverage_is_valid(geometry) and shapely.is_valid(geometry).all()
    assert sum(columns["area"]) == sum(summary.areas.values()) == valid
    assert shapely.union_all(geometry).equals(shapely.union_all(exact)), "nodata is left as it is"
    np.testing.assert_allclose(columns["area"], shapely.area(geometry))


def test_small_components_go_to_their_neighbours(class_map, tmp_path):
    classes = [[0, 0, 0, 1], [0, 2, 0, 1], [0, 0, 0, 1]]
    # A pixel has 4 square metres.
    assert write_polygons(class_map(classes), tmp_path / "a.gpkg", min_area=4).polygons == 3
    summary = write_polygons(class_map(classes), tmp_path / "a.gpkg", min_area=4.1)
    assert summary.areas == {"field": 36, "water": 12, "Straße": 0}
    geometry, _ = read(tmp_path / "a.gpkg")
    assert shapely.get_num_interior_rings(geometry).tolist() == [0, 0]
    plain = class_map(classes, crs=None, transform=None)
    summary = write_polygons(plain, tmp_path / "a.gpkg", min_area=4)
    assert summary == (1, {"field": 12, "water": 0, "Straße": 0}, "pixels")
    assert pyogrio.read_info(tmp_path / "a.gpkg")["crs"] is None


@pytest.mark.parametrize(
    "transform",
    [Affine(2, 0, 500000, 0, 2, 2800000), Affine(1.5, 2, 500000, 2, -1.5, 2800000)],
    ids=["south up", "rotated"],
)
def test_polygons_lie_where_the_pixels_do(class_map, tmp_path, transform):
    classes = noise(3)
    write_polygons(class_map(classes, transform=transform), tmp_path / "a.geojson")
    geometry, columns = read(tmp_path / "a.geojson")
    assert all(ring.is_ccw for ring in shapely.get_exterior_ring(geometry))
    np.testing.assert_allclose(columns["area"], shapely.area(geometry), rtol=1e-6)
    for y, x in np.ndindex(classes.shape):
        within = shapely.intersects_xy(geometry, *(transform @ (x + 0.5, y + 0.5)))
        values = [value for value, hit in zip(columns["value"], within, strict=True) if hit]
        assert values == ([] if classes[y, x] == NODATA else [classes[y, x]])


def test_areas_are_square_metres_whatever_the_unit_of_the_crs(class_map, tmp_path):
    feet = class_map(SMALL, crs="EPSG:2263", transform=Affine(10, 0, 980000, 0, -10, 200000))
    areas = write_polygons(feet, tmp_path / "a.gpkg").areas
    assert areas["water"] == pytest.approx(2 * 100 * (1200 / 3937) ** 2)

    degrees = class_map(SMALL, crs="EPSG:4326", transform=Affine(0.01, 0, 55, 0, -0.01, 60))
    areas = write_polygons(degrees, tmp_path / "a.gpkg").areas
    # On the ellipsoid a degree at 60 N is 111,412 m of latitude and 55,800 m of longitude.
    assert areas["Straße"] == pytest.approx(0.01**2 * 111_412 * 55_800, rel=1e-3)
    whole = shapely.union_all(read(tmp_path / "a.gpkg")[0])
    area, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(whole)
    assert sum(areas.values()) == pytest.approx(abs(area))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_map_without_a_valid_pixel_gives_a_file_without_polygons(
    class_map, tmp_path, log, suffix
):
    output = tmp_path / f"a{suffix}"
    summary = write_polygons(class_map(np.full((3, 4), NODATA)), output, min_area=9, simplify=1)
    assert summary.polygons == 0 and sum(summary.areas.values()) == 0
    assert "no valid pixel" in log.text
    geometry, columns = read(output)
    assert len(geometry) == 0
    if suffix != ".geojson":  # which has no columns but in its features
        assert list(columns) == ["class", "value", "area"]
    assert crs_of(output) == pyproj.CRS(CRS)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_what_is_interrupted_leaves_the_old_file_and_nothing_else(
    class_map, tmp_path, monkeypatch, suffix, error
):
    path, output = class_map([[0, 1], [1, 0]] * 4), tmp_path / "out" / f"a{suffix}"
    write_polygons(path, output)
    old = output.read_bytes()

    def stop(path, band, first, count):
        if first == 6:  # the polygons of the first rows are written by then
            raise error
        return whole(path, band, first, count)

    whole = strips.read_rows
    monkeypatch.setattr(strips, "read_rows", stop)
    monkeypatch.setattr(strips, "STRIP", 2)
    with pytest.raises(type(error)):
        write_polygons(path, output)
    assert [file.name for file in output.parent.iterdir()] == [output.name]
    assert output.read_bytes() == old


def test_features_are_handed_on_while_the_map_is_read(class_map, monkeypatch):
    rows = []
    whole = strips.read_rows
    monkeypatch.setattr(strips, "read_rows", lambda *place: rows.append(place[2]) or whole(*place))
    monkeypatch.setattr(strips, "STRIP", 4)
    path = class_map([[0, 1], [0, 1], [1, 0], [1, 0], [0, 0], [0, 0]] * 2)
    batches = features.Features(features.MapSource.read(path, None)).batches
    assert next(batches(0, 0)).num_rows == 2
    assert rows == [0, 2], "one strip ahead"


def test_errors_say_what_is_wrong(class_map, tmp_path, monkeypatch):
    path = class_map(SMALL, confidence=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"\.gpkg, \.geojson, \.parquet, not as '\.shp'"):
        write_polygons(path, tmp_path / "a.shp")
    with pytest.raises(ValueError, match="no class map"):
        write_polygons(product(path, "uncertainty"), tmp_path / "a.gpkg")
    with pytest.raises(ValueError, match="has no band 'confidence'"):
        write_polygons(path, tmp_path / "a.gpkg", confidence=path)
    with pytest.raises(ValueError, match="must be 0 or more"):
        write_polygons(path, tmp_path / "a.gpkg", simplify=-1)
    other = class_map([[0, 1]], confidence=[[0, 1]])
    kept = product(other, "uncertainty").rename(tmp_path / "other.tif")
    with pytest.raises(ValueError, match=r"1 x 2 pixels, the map .* 3 x 4"):
        write_polygons(class_map(SMALL), tmp_path / "a.gpkg", confidence=kept)
    with pytest.raises(ValueError, match="value 9, which none of its classes has"):
        write_polygons(class_map([[0, 9]]), tmp_path / "a.gpkg")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_polygons(class_map(SMALL), tmp_path / "file" / "a.gpkg")
    assert not [*tmp_path.glob("a.*")] and not [*tmp_path.glob(".*")]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_a_full_disk_is_an_error_that_names_the_file(class_map, tmp_path, suffix, share):
    resource = pytest.importorskip("resource", reason="limits as POSIX has them")
    path, output = class_map(noise(0, (50, 50))), tmp_path / "out" / f"a{suffix}"
    write_polygons(path, output)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = int(share * output.stat().st_size) - 1
    output.unlink()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        with pytest.raises(OSError, match="cannot be written") as stopped:
            write_polygons(path, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(output) in str(stopped.value)
    assert not [*output.parent.iterdir()]


def test_geojson_names_its_crs_or_is_refused(class_map, tmp_path, log):
    own = pyproj.CRS.from_proj4("+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84 +units=m").to_wkt()
    with pytest.raises(ValueError, match="GeoJSON names a CRS by its code"):
        write_polygons(class_map(SMALL, crs=own), tmp_path / "a.geojson")
    for suffix in (".gpkg", ".parquet"):
        write_polygons(class_map(SMALL, crs=own), tmp_path / f"a{suffix}")
        assert crs_of(tmp_path / f"a{suffix}").to_dict()["lat_0"] == 10
    plain = class_map(SMALL, crs=None, transform=None)
    write_polygons(plain, tmp_path / "a.geojson")
    assert "cannot say that there is no CRS" in log.text
    write_polygons(plain, tmp_path / "a.parquet")
    about = json.loads(parquet.read_schema(tmp_path / "a.parquet").metadata[b"geo"])
    assert about["columns"]["geometry"]["crs"] is None
