"""Rasters: bands, scaling, what is invalid, windows, and masks on another grid or CRS."""

import json

import numpy as np
import pytest

from co2s.data.reading.rasters import raster_size, read_raster
from co2s.data.reading.samples import load_classes, load_image
from co2s.data.spec.raster import RasterSpec, ScaleSpec
from co2s.data.spec.reader import spec_from_dict

from ..geo import rasterio, write_raster
from .conftest import toy_content

WIDE = ScaleSpec("range", (0.0,), (1000.0,))


def ramp(shape=(3, 8, 10), dtype=np.uint16, step=10):
    return (np.arange(np.prod(shape)).reshape(shape) * step).astype(dtype)


def test_bands_are_chosen_ordered_and_repeated(tmp_path):
    bands = np.stack([np.full((4, 5), value, np.uint8) for value in (10, 20, 30, 40)])
    path = write_raster(tmp_path / "a.tif", bands)
    image, valid = read_raster(path, RasterSpec(bands=(4, 1, 1, 3)))
    assert image.shape == (4, 5, 4) and image[2, 3].tolist() == [40, 10, 10, 30]
    assert image.dtype == np.uint8 and valid.all()
    assert raster_size(path) == (4, 5)
    with pytest.raises(ValueError, match=r"a\.tif has 4 bands; raster\.bands asks for \[1, 2, 5\]"):
        read_raster(path, RasterSpec(bands=(1, 2, 5)))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_values_are_scaled_before_they_are_rounded(tmp_path, dtype):
    values = np.array([[[-100, 0, 1, 499, 1000, 1001]]] * 3).astype(dtype)
    if dtype == np.uint16:
        values[:, 0, 0] = 0
    path = write_raster(tmp_path / "a.tif", values)
    image, _ = read_raster(path, RasterSpec(scale=WIDE))
    assert image[0, :, 0].tolist() == [0, 0, 0, 127, 255, 255]
    with pytest.raises(
        ValueError, match=rf"{values.dtype} values \(.* to 1001.*scale: .percentile"
    ):
        read_raster(path, RasterSpec())


def test_a_range_for_each_band(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.full((3, 2, 2), 50, np.uint16))
    scale = ScaleSpec("range", (0.0, 0.0, 25.0), (100.0, 200.0, 75.0))
    assert read_raster(path, RasterSpec(scale=scale))[0][0, 0].tolist() == [128, 64, 128]


def test_percentiles_are_those_of_the_file_s_valid_pixels(tmp_path):
    values = np.tile(np.arange(100, dtype=np.float32).reshape(10, 10), (3, 1, 1))
    values[:, 0, :5] = np.nan
    values[:, 9, 9] = 1e9
    path = write_raster(tmp_path / "a.tif", values)
    raster = RasterSpec(scale=ScaleSpec("percentile", (5.0,), (95.0,)))
    image, valid = read_raster(path, raster)
    low, high = np.percentile(values[0][np.isfinite(values[0])], (5, 95))
    expected = np.clip(np.rint((values[0] - low) * 255 / (high - low)), 0, 255)
    assert np.abs(image[valid][:, 0] - expected[valid]).max() <= 1
    part, _ = read_raster(path, raster, (4, 2, 3, 5))  # a window is scaled as its file
    assert (part == image[4:7, 2:7]).all()


def test_statistics_of_the_dataset(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.full((4, 2, 2), 60, np.int16))
    file = tmp_path / "s.json"
    known = {str(b): {"mean": 50.0, "std": 10.0 * b} for b in (1, 2, 4)}
    file.write_text(json.dumps({"bands": known}))
    scale = ScaleSpec("statistics", file=str(file), deviations=2.0)
    image, _ = read_raster(path, RasterSpec(bands=(1, 2, 4), scale=scale))
    assert image[0, 0].tolist() == [191, 159, 143]
    with pytest.raises(ValueError, match=r"s\.json holds no statistics of all bands \[1, 2, 3\]"):
        read_raster(path, RasterSpec(scale=scale))
    gone = ScaleSpec("statistics", file=str(tmp_path / "none.json"))
    with pytest.raises(FileNotFoundError, match=r"none\.json .*check_dataset\.py"):
        read_raster(path, RasterSpec(scale=gone))


def test_nodata_value_in_any_band_and_zero_in_all(tmp_path):
    values = ramp((3, 4, 4)) + 1
    values[1, 0, 0] = 9999
    path = write_raster(tmp_path / "a.tif", values, nodata=9999)
    image, valid = read_raster(path, RasterSpec(scale=WIDE))
    assert (~valid).sum() == 1 and not valid[0, 0] and not image[0, 0].any()
    dark = np.full((3, 2, 2), 7, np.uint8)
    dark[0, 0, 0] = 0  # a dark red band is no hole
    dark[:, 1, 1] = 0
    _, valid = read_raster(write_raster(tmp_path / "b.tif", dark, nodata=0), RasterSpec())
    assert valid.tolist() == [[True, True], [True, False]]
    _, valid = read_raster(write_raster(tmp_path / "c.tif", dark), RasterSpec(nodata=7))
    assert not valid[0, 0] and valid[1, 1]  # the spec says what the file does not


def test_mask_band_alpha_and_nan(tmp_path):
    mask = np.ones((4, 4), bool)
    mask[1, 2] = False
    path = write_raster(tmp_path / "m.tif", np.full((3, 4, 4), 5, np.uint8), mask=mask)
    assert (read_raster(path, RasterSpec())[1] == mask).all()
    rgba = np.full((4, 4, 4), 5, np.uint8)
    rgba[3] = 255 * mask
    path = write_raster(tmp_path / "a.tif", rgba)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [*file.colorinterp[:3], rasterio.enums.ColorInterp.alpha]
    assert (read_raster(path, RasterSpec())[1] == mask).all()
    values = np.ones((4, 4, 4), np.float32)
    values[3, 1, 2] = np.nan
    path = write_raster(tmp_path / "n.tif", values)
    image, valid = read_raster(path, RasterSpec(bands=(1, 2, 3, 4), scale=WIDE))
    assert (valid == mask).all() and not image[1, 2].any()
    assert read_raster(path, RasterSpec(scale=WIDE))[1].all()  # the NaN is in a band not read


def test_transparent_png_pixels_are_invalid(tmp_path):
    from PIL import Image

    rgba = np.full((4, 5, 4), 200, np.uint8)
    rgba[..., 3] = 255
    rgba[2, 3, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    pixels = load_image({"file_name": str(tmp_path / "a.png")})
    assert (~pixels.valid).sum() == 1 and not pixels.bands[2, 3].any()
    window = load_image({"file_name": str(tmp_path / "a.png"), "window": (0, 0, 2, 2)})
    assert window.valid.all()


def test_only_the_window_is_read(tmp_path, monkeypatch):
    path = write_raster(tmp_path / "a.tif", ramp((3, 40, 50), step=1))
    whole, _ = read_raster(path, RasterSpec(scale=WIDE))
    sizes = []
    real = rasterio.io.DatasetReader.read

    def read(self, *args, **kwargs):
        found = real(self, *args, **kwargs)
        sizes.append(found.shape)
        return found

    monkeypatch.setattr("rasterio.io.DatasetReader.read", read, raising=False)
    part, _ = read_raster(path, RasterSpec(scale=WIDE), (8, 16, 5, 7))
    assert (part == whole[8:13, 16:23]).all()
    assert all(shape == (3, 5, 7) for shape in sizes)


def labelled(tmp_path, image, mask, **spec):
    record = {"file_name": image, "sem_seg_file_name": mask, "dataset": "toy"}
    spec = spec_from_dict(
        toy_content(raster={"bands": [1, 2, 3], "scale": {"range": [0, 1000]}}, **spec)
    )
    return load_classes(record, spec, load_image(record, spec.raster))


def test_a_mask_of_half_the_resolution_and_another_origin(tmp_path):
    image = write_raster(tmp_path / "i.tif", ramp((3, 8, 8)))
    values = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint8)
    # two image pixels to each mask pixel, from two image pixels to the right and below on
    mask = write_raster(tmp_path / "m.tif", values[None], pixel=2.0, origin=(500002, 2799998))
    classes = labelled(tmp_path, image, mask)
    expected = np.full((8, 8), 255)
    expected[2:, 2:] = values.repeat(2, 0).repeat(2, 1)
    assert (classes == expected).all()


def test_a_mask_in_another_crs_is_brought_near(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, (20, 20), np.uint8).repeat(8, 0).repeat(8, 1)
    image = write_raster(tmp_path / "i.tif", ramp((3, 160, 160), step=0))
    own = write_raster(tmp_path / "own.tif", values[None])
    other = str(tmp_path / "m.tif")
    with rasterio.open(own) as source:
        warped = rasterio.vrt.WarpedVRT(source, crs="EPSG:4326", nodata=255)
        write = {**warped.profile, "driver": "GTiff"}
        with rasterio.open(other, "w", **write) as file:
            file.write(warped.read())
    classes = labelled(tmp_path, image, other)
    inner = (slice(8, -8), slice(8, -8))
    assert classes.shape == (160, 160) and (classes[inner] == values[inner]).mean() > 0.93
    assert set(np.unique(classes)) <= {0, 1, 255}


def test_masks_elsewhere_or_without_a_place_are_refused(tmp_path):
    image = write_raster(tmp_path / "i.tif", ramp((3, 8, 8)))
    far = write_raster(
        tmp_path / "far.tif", np.zeros((1, 8, 8), np.uint8), origin=(600000, 2800000)
    )
    with pytest.raises(ValueError, match=r"far\.tif and its image .*i\.tif do not overlap.*600000"):
        labelled(tmp_path, image, far)
    plain = write_raster(tmp_path / "p.tif", np.zeros((1, 4, 4), np.uint8), crs=None)
    with pytest.raises(ValueError, match=r"p\.tif is 4 x 4 pixels, its image .*8 x 8.*no CRS"):
        labelled(tmp_path, image, plain)
    same = write_raster(tmp_path / "s.tif", np.ones((1, 8, 8), np.uint8), crs=None)
    assert (labelled(tmp_path, image, same) == 1).all()


def test_the_mask_s_band_nodata_and_unknown_values(tmp_path):
    image = write_raster(tmp_path / "i.tif", ramp((3, 2, 2)))
    values = np.array([[[5, 5], [5, 5]], [[0, 1], [77, 1]]], np.uint8)
    mask = write_raster(tmp_path / "m.tif", values, nodata=77)
    labels = {"encoding": "index", "band": 2}
    assert labelled(tmp_path, image, mask, labels=labels).tolist() == [[0, 1], [255, 1]]
    with pytest.raises(ValueError, match=r"m\.tif has 2 bands; .*`labels` ask for band 3"):
        labelled(tmp_path, image, mask, labels={**labels, "band": 3})
    with pytest.raises(ValueError, match=r"m\.tif: 4 pixels have values .*\[5\]"):
        labelled(tmp_path, image, mask, labels={"encoding": "index"})


def test_invalid_pixels_have_no_class(tmp_path):
    values = ramp((3, 2, 2)) + 1
    values[:, 0, 1] = 9999
    image = write_raster(tmp_path / "i.tif", values, nodata=9999)
    mask = write_raster(tmp_path / "m.tif", np.ones((1, 2, 2), np.uint8))
    assert labelled(tmp_path, image, mask).tolist() == [[1, 255], [1, 1]]


def test_a_damaged_raster_is_named(tmp_path):
    path = tmp_path / "a.tif"
    write_raster(path, ramp((3, 64, 64)))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"a\.tif cannot be read as a raster"):
        read_raster(str(path), RasterSpec(scale=WIDE))


def test_an_empty_file_and_a_broken_link_inside_one_are_named(tmp_path):
    from rasterio.shutil import copy

    (tmp_path / "a.tif").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.tif cannot be read as a raster: it is empty"):
        read_raster(str(tmp_path / "a.tif"), RasterSpec())
    inner = write_raster(tmp_path / "b.tif", ramp(dtype=np.uint8, step=1))
    copy(inner, str(tmp_path / "c.vrt"), driver="VRT")
    (tmp_path / "b.tif").unlink()
    with pytest.raises(ValueError, match=r"c\.vrt cannot be read as a raster: .*b\.tif"):
        read_raster(str(tmp_path / "c.vrt"), RasterSpec())


def test_complex_numbers_are_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", ramp(dtype=np.complex64))
    for read in (lambda: read_raster(path, RasterSpec(scale=WIDE)), lambda: raster_size(path)):
        with pytest.raises(ValueError, match=r"a\.tif holds complex numbers \(complex64\)"):
            read()


def test_without_rasterio_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs rasterio.*pip install 'co2s\[geo\]'"):
        read_raster(str(tmp_path / "a.tif"), RasterSpec())


@pytest.mark.parametrize(
    ("raster", "words"),
    [
        ({"bands": [1]}, r"at least three band numbers.*\[1, 1, 1\]"),
        ({"bands": [0, 1, 2]}, "from 1 on"),
        ({"bands": 3}, "must be a list"),
        ({"scale": {"range": [5, 5]}}, "low must be below high"),
        ({"scale": {"range": [[0, 1], [0, 1]]}}, "2 pairs for 3 bands"),
        ({"scale": {"percentile": [2, 101]}}, "0 to 100"),
        ({"scale": {"percentile": 2}}, r"must be \[low, high\]"),
        ({"scale": {"statistics": ""}}, "needs a file"),
        ({"scale": {"minmax": [0, 1]}}, "exactly one of range, percentile, statistics"),
        ({"scale": {"range": [0, 1], "percentile": [2, 98]}}, "exactly one of"),
        ({"band": [1]}, "unknown key"),
    ],
)
def test_wrong_raster_sections(raster, words):
    with pytest.raises(ValueError, match=words):
        spec_from_dict(toy_content(raster=raster))


def test_a_palette_raster_gives_its_colours_or_its_numbers(tmp_path):
    image = write_raster(tmp_path / "i.tif", ramp((3, 2, 2)))
    mask = write_raster(tmp_path / "m.tif", np.array([[[0, 1], [1, 2]]], np.uint8))
    with rasterio.open(mask, "r+") as file:
        file.write_colormap(1, {0: (200, 100, 0), 1: (0, 0, 200), 2: (9, 9, 9)})
    labels = {"encoding": "color", "ignore": [[9, 9, 9]]}
    assert labelled(tmp_path, image, mask, labels=labels).tolist() == [[0, 1], [1, 255]]
    labels = {"encoding": "index", "ignore": [2]}
    assert labelled(tmp_path, image, mask, labels=labels).tolist() == [[0, 1], [1, 255]]


def test_large_numbers_of_a_mask_are_not_rounded(tmp_path):
    image = write_raster(tmp_path / "i.tif", ramp((3, 1, 2)))
    mask = write_raster(tmp_path / "m.tif", np.array([[[2**53, 2**53 + 1]]], np.int64))
    labels = {"encoding": "index", "map": {2**53: 0, 2**53 + 1: 1}}
    assert labelled(tmp_path, image, mask, labels=labels).tolist() == [[0, 1]]


def test_nan_in_a_mask_is_no_class(tmp_path):
    image = write_raster(tmp_path / "i.tif", ramp((3, 1, 2)))
    mask = write_raster(tmp_path / "m.tif", np.array([[[0, np.nan]]], np.float32))
    with pytest.raises(ValueError, match=r"m\.tif: 1 pixels have values .*\[nan\]"):
        labelled(tmp_path, image, mask)
    mask = write_raster(tmp_path / "n.tif", np.array([[[0, np.nan]]], np.float32), nodata=np.nan)
    assert labelled(tmp_path, image, mask).tolist() == [[0, 255]]
