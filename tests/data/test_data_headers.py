"""Headers of rasters against the dataset's spec: what the spec reads as data is data."""

import numpy as np
import pytest
from PIL import Image

from co2s.data.reading.alignment import opened_mask
from co2s.data.reading.labels import read_classes
from co2s.data.reading.rasters import ordered_bounds, read_raster
from co2s.data.reading.remarks import header_remarks
from co2s.data.reading.samples import load_classes, load_image
from co2s.data.spec.raster import RasterSpec, ScaleSpec
from co2s.data.spec.reader import spec_from_dict

from ..geo import CRS, rasterio, write_raster
from .conftest import toy_content

FOUR = RasterSpec(bands=(1, 2, 3, 4))
NUMBERS = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)


def spec(raster=None, **labels):
    labels = {"encoding": "index", **labels}
    return spec_from_dict(toy_content(labels=labels, raster=raster))


def test_a_fourth_band_that_is_named_is_data_whatever_its_flag(tmp_path):
    bands = np.full((4, 2, 3), 9, np.uint8)
    bands[3, 0] = 0  # near infrared over water
    path = write_raster(tmp_path / "i.tif", bands)  # GDAL flags the fourth as alpha
    image, valid = read_raster(path, FOUR)
    assert valid.all() and image[0, 0].tolist() == [9, 9, 9, 0]
    _, valid = read_raster(path, RasterSpec())
    assert valid.tolist() == [[False] * 3, [True] * 3]  # not named: it masks
    asked = spec({"bands": [1, 2, 3, 4]})
    assert any("flags band 4 as alpha" in one for one in header_remarks(path, asked))
    assert header_remarks(path, spec()) == []


def test_a_mask_band_counts_beside_a_named_fourth_band(tmp_path):
    mask = NUMBERS == 0
    path = write_raster(tmp_path / "i.tif", np.full((4, 2, 3), 9, np.uint8), mask=mask)
    assert (read_raster(path, FOUR)[1] == mask).all()


def test_the_nodata_of_the_spec_counts_in_place_of_the_header_s(tmp_path):
    bands = np.full((3, 1, 3), 9, np.uint8)
    bands[:, 0, 0], bands[:, 0, 1] = 0, 7
    path = write_raster(tmp_path / "i.tif", bands, nodata=0)
    assert read_raster(path, RasterSpec())[1].tolist() == [[False, True, True]]
    assert read_raster(path, RasterSpec(nodata=7))[1].tolist() == [[True, False, True]]
    (remark,) = header_remarks(path, spec({"nodata": 7}))
    assert "nodata is 0; raster.nodata says 7, which counts" in remark


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, NUMBERS),  # 0 is a class
        ({"map": {0: 1, 1: 0}}, 1 - NUMBERS),
        ({"offset": -1, "ignore": [0]}, np.where(NUMBERS == 1, 0, 255)),
        ({"map": {1: 0}}, np.where(NUMBERS == 1, 0, 255)),  # 0 means nothing but nodata
    ],
)
def test_nodata_that_is_a_class_is_that_class(tmp_path, labels, expected, shifted):
    image = write_raster(tmp_path / "i.tif", np.ones((3, 2, 4 if shifted else 3), np.uint8))
    path = write_raster(tmp_path / "m.tif", NUMBERS[None], nodata=0)
    classes = read_classes(path, spec(**labels), image)
    assert classes[:, :3].tolist() == expected.tolist()
    assert not shifted or (classes[:, 3] == 255).all()  # what the mask does not cover
    told = header_remarks(path, spec(**labels), mask=True)
    is_class = labels.get("map", {0: 0}).get(0) is not None and "offset" not in labels
    assert [("calls 0 nodata" in remark) for remark in told] == [True] * is_class


def test_nodata_that_is_a_class_s_colour_is_that_class(tmp_path):
    content = toy_content(labels={"encoding": "color"})
    content["classes"][0]["label_color"] = [0, 0, 0]
    colors = np.array([[0, 0, 0], [0, 0, 200]], np.uint8)[NUMBERS].transpose(2, 0, 1)
    path = write_raster(tmp_path / "m.tif", colors, nodata=0)
    assert (read_classes(path, spec_from_dict(content)) == NUMBERS).all()
    content["classes"][0]["label_color"] = [1, 2, 3]
    assert (read_classes(path, spec_from_dict(content)) == np.where(NUMBERS, 1, 255)).all()


def test_an_alpha_band_that_labels_name_is_numbers(tmp_path):
    path = write_raster(tmp_path / "m.tif", np.stack([NUMBERS] * 4))
    assert (read_classes(path, spec(band=4)) == NUMBERS).all()
    assert "reads it as numbers" in header_remarks(path, spec(band=4), mask=True)[0]
    assert (read_classes(path, spec(band=1)) == np.where(NUMBERS, 1, 255)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
def test_what_a_warped_mask_does_not_cover_is_ignored(tmp_path, dtype):
    image = write_raster(tmp_path / "i.tif", np.ones((3, 2, 5), np.uint8))
    path = write_raster(tmp_path / "m.tif", NUMBERS[None].astype(dtype))
    classes = read_classes(path, spec(), image)
    assert (classes[:, :3] == NUMBERS).all() and (classes[:, 3:] == 255).all()


def south_up(path, bands):
    """The bands (C, H, W) of a north-up raster, rows from south to north."""
    bands = np.asarray(bands)[:, ::-1]
    count, height, width = bands.shape
    transform = rasterio.transform.Affine(1, 0, 500000, 0, 1, 2800000 - height)
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(path, "w", "GTiff", transform=transform, crs=CRS, **profile) as file:
        file.write(bands)
    return str(path)


def test_south_up_and_north_up_meet(tmp_path):
    bands = np.arange(1, 19, dtype=np.uint8).reshape(3, 2, 3)
    record = {
        "file_name": south_up(tmp_path / "i.tif", bands),
        "sem_seg_file_name": write_raster(tmp_path / "m.tif", NUMBERS[None]),
    }
    image = load_image(record)
    assert (image.bands == bands[:, ::-1].transpose(1, 2, 0)).all()
    assert (load_classes(record, spec(), image) == NUMBERS[::-1]).all()
    turned = {
        "file_name": write_raster(tmp_path / "j.tif", bands),
        "sem_seg_file_name": south_up(tmp_path / "n.tif", NUMBERS[None]),
    }
    assert (load_classes(turned, spec(), load_image(turned)) == NUMBERS).all()
    with rasterio.open(record["file_name"]) as source:
        assert ordered_bounds(source) == (500000, 2799998, 500003, 2800000)
    far = write_raster(tmp_path / "far.tif", NUMBERS[None], origin=(500000, 2700000))
    apart = pytest.raises(ValueError, match=r"far\.tif and its image .*i\.tif do not overlap")
    with apart, opened_mask(far, "index", image=record["file_name"]):
        pass


def test_a_grey_raster_stands_for_three_bands_of_any_depth(tmp_path):
    path = write_raster(tmp_path / "i.tif", np.array([[[0, 500, 1000]]], np.uint16))
    scale = ScaleSpec("range", (0.0,), (1000.0,))
    image, _ = read_raster(path, RasterSpec(scale=scale))
    assert image[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]
    two = write_raster(tmp_path / "two.tif", np.ones((2, 1, 3), np.int16))
    with pytest.raises(ValueError, match=r"two\.tif has 2 bands; raster\.bands asks for"):
        read_raster(two, RasterSpec(scale=scale))


def test_a_georeference_says_better_than_exif_where_up_is(tmp_path):
    Image.fromarray(NUMBERS).save(tmp_path / "i.tif", tiffinfo={274: 6})
    assert any("turned upright" in one for one in header_remarks(str(tmp_path / "i.tif"), spec()))
    with rasterio.open(tmp_path / "i.tif", "r+") as file:
        file.crs, file.transform = CRS, rasterio.transform.from_origin(0, 0, 1, 1)
    assert read_raster(str(tmp_path / "i.tif"), RasterSpec())[0].shape[:2] == NUMBERS.shape
    assert any("not the tag" in one for one in header_remarks(str(tmp_path / "i.tif"), spec()))
