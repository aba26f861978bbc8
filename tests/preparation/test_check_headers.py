"""The dataset check names what files say of themselves and the project reads otherwise, or not."""

import numpy as np
import pytest
from PIL import Image

from co2s.preparation.check import check_dataset

from ..geo import rasterio, write_raster
from .check_toy import checked, labels, register_toy, write_toy

LAYOUT = {"images": "{set}/images/{name}.tif", "labels": "{set}/labels/{name}.tif"}
SPLITS = {"fractions": ["1_1"], "train": {"set": ["train"]}, "val": {"set": ["val"]}}

pytestmark = pytest.mark.usefixtures("clean_catalog")


@pytest.fixture
def rasters(tmp_path):
    """A function that writes a clean set: `image` changes an open file, `mask` are options."""

    def write(image=None, mask=None, bands=3, mask_bands=1):
        root = tmp_path / "toy"
        for number, (part, name) in enumerate([("train", "0"), ("train", "1"), ("val", "2")]):
            pixels = np.random.default_rng(number).integers(1, 255, (bands, 8, 8), np.uint8)
            write_raster(root / f"{part}/images/{name}.tif", pixels)
            numbers = np.tile(np.array([0, 1], np.uint8), (mask_bands, 8, 4))
            write_raster(root / f"{part}/labels/{name}.tif", numbers, **(mask or {}))
            if image:
                with rasterio.open(root / f"{part}/images/{name}.tif", "r+") as file:
                    image(file)
        return root

    return write


def remarks(root, **changes):
    """Severities by message of what the headers say."""
    report, _ = checked(root, **{"layout": LAYOUT, "splits": SPLITS, **changes})
    return {f.message: f.severity for f in report.findings if f.kind in ("header", "unused")}


def test_clean_rasters_have_no_remark(rasters):
    assert remarks(rasters()) == {}


def test_nodata_of_a_mask_that_is_a_class(rasters):
    ((message, severity),) = remarks(rasters(mask={"nodata": 0})).items()
    assert severity == "warning" and message.startswith("3 masks: the header calls 0 nodata")


def test_alpha_that_the_dataset_reads_as_a_band(rasters):
    root = rasters(bands=4)
    assert remarks(root) == {}  # as alpha, which it is flagged as
    report = remarks_of_four_bands(root)
    assert ["band 4 as alpha" in message for message in report] == [True]


def remarks_of_four_bands(root):
    register_toy(root, name="four", layout=LAYOUT, splits=SPLITS, raster={"bands": [1, 2, 3, 4]})
    return [f.message for f in check_dataset("four").findings if f.kind == "header"]


def test_bands_that_nobody_reads(rasters):
    assert remarks(rasters(bands=5)) == {
        "3 images: the bands [4, 5] are not read (`raster.bands` is [1, 2, 3]).": "info"
    }


def test_bands_of_masks_that_nobody_reads(rasters):
    root = rasters(mask_bands=2)
    (message,) = remarks(root, labels={"encoding": "index", "band": 1})
    assert message.startswith("3 masks: the bands [2] are not read")


def test_scale_tags_and_ground_control_points(rasters):
    def image(file):
        file.scales, file.offsets = (0.5, 1, 1), (0, 10, 0)

    (message,) = remarks(rasters(image))
    assert "tags of scale and offset (value x 0.5 + 0, " in message
    assert message.endswith("values are taken as they are stored.")


def test_ground_control_points_in_place_of_a_georeference(rasters):
    from rasterio.control import GroundControlPoint

    root = rasters()
    for number, path in enumerate(sorted(root.glob("*/images/*.tif"))):
        points = [GroundControlPoint(r, c, 5e5 + c, 4e6 - r) for r in (0, 8) for c in (0, 8)]
        pixels = np.random.default_rng(number).integers(1, 255, (3, 8, 8), np.uint8)
        about = {"count": 3, "height": 8, "width": 8, "dtype": "uint8"}
        with rasterio.open(path, "w", driver="GTiff", gcps=points, crs="EPSG:32640", **about) as f:
            f.write(pixels)
    assert remarks(root) == {
        "3 images: 4 ground control points: the file counts as without a place.": "info"
    }


def test_a_colour_table_where_numbers_count(tmp_path):
    root = write_toy(tmp_path / "toy")
    for path in labels(root):
        with Image.open(path) as image:
            mask = image.copy()
        mask.putpalette([9, 9, 9, 7, 7, 7])
        mask.save(path)
    report, found = checked(root)
    assert "6 masks: a colour table, of which the numbers count" in found["unused"].message
    assert found["unused"].severity == "info" and not report.errors


def test_an_orientation_is_named_also_where_sizes_differ(tmp_path):
    root = write_toy(tmp_path / "toy")
    exif = Image.Exif()
    exif[0x0112] = 6
    path = root / "train/images/00.png"
    with Image.open(path) as image:
        image.copy().save(path, exif=exif)
    _, found = checked(root)
    assert "1 image: EXIF orientation 6" in found["header"].message
    assert "EXIF orientation 6" in found["size"].message


def test_several_pictures_in_one_file(tmp_path):
    root = write_toy(tmp_path / "toy")
    path = root / "train/images/00.png"
    with Image.open(path) as image:
        pages = [image.copy(), image.transpose(Image.Transpose.ROTATE_180)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    _, found = checked(root)
    assert "1 image: 2 pictures in one file: the first is read" in found["unused"].message


def test_rows_from_south_to_north_are_named(rasters):
    root = rasters()
    for path in root.glob("*/labels/*.tif"):
        with rasterio.open(path, "r+") as file:
            t = file.transform
            file.transform = type(t)(t.a, 0, t.c, 0, -t.e, t.f + 8 * t.e)
    _, found = checked(root, layout=LAYOUT, splits=SPLITS)
    assert "one of them with its rows from south to north" in found["warped"].message


def test_three_equal_bands_are_numbers_and_a_value_that_lacks_is_named(tmp_path):
    root = write_toy(tmp_path / "toy")
    for path in labels(root):
        with Image.open(path) as image:
            image.convert("RGB").save(path)
    colors = [[0, 0, 0], [1, 1, 1]]
    classes = [{"name": f"c{n}", "color": c, "concepts": ["x"]} for n, c in enumerate(colors)]
    said = {"encoding": "index", "map": {0: 0, 255: 1}}
    _, found = checked(root, labels=said, classes=classes)
    assert "unknown values" in found and "colours for numbers" not in found
    assert ": 1 (" in found["unknown values"].message
