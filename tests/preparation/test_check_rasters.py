"""The dataset check on rasters: grids, CRS, nodata, scaling, blocks, and statistics of the file."""

import numpy as np
import pytest

from co2s.data.reading.rasters import read_raster
from co2s.data.reading.samples import load_image
from co2s.data.spec.raster import RasterSpec, ScaleSpec
from co2s.preparation.check import check_dataset, images, measure, quick_check
from co2s.preparation.check.statistics import write_statistics

from ..geo import write_raster
from .check_toy import checked, register_toy

LAYOUT = {"images": "{set}/images/{name}.tif", "labels": "{set}/labels/{name}.tif"}
RASTER = {"bands": [3, 2, 1, 4], "scale": {"percentile": [2, 98]}}

pytestmark = pytest.mark.usefixtures("clean_catalog")


def halves(shape=(40, 48)):
    mask = np.zeros(shape, np.uint8)
    mask[:, shape[1] // 2 :] = 1
    return mask


def write_scene(
    root, name, seed, *, dtype=np.uint16, nodata=0, label=None, shape=(40, 48), **place
):
    """An image of four bands, one of them far from the others, with a hole; and its mask."""
    rng = np.random.default_rng(seed)
    bands = rng.integers(1, 3000, (4, *shape)).astype(dtype)
    bands[2] += 1000
    bands[:, :4, :6] = np.nan if np.issubdtype(dtype, np.floating) else nodata
    image = write_raster(root / f"images/{name}.tif", bands, nodata=nodata, **place)
    write_raster(root / f"labels/{name}.tif", halves(shape)[None], **{**place, **(label or {})})
    return image, bands


@pytest.fixture
def root(tmp_path):
    for number in range(3):
        write_scene(tmp_path / "toy/train", f"{number:02d}", number)
    write_scene(tmp_path / "toy/val", "100", 100)
    return tmp_path / "toy"


def look(root, **changes):
    return checked(root, **{"layout": LAYOUT, "raster": RASTER, **changes})


def test_clean_rasters_have_holes_only(root):
    report, found = look(root)
    assert set(found) == {"nodata", "ignored"}
    assert "4 images with invalid pixels" in found["nodata"].message
    assert f"{24 / 1920:.2%} of all" in found["nodata"].message
    assert report.lists[0].ignored_share == pytest.approx(24 / 1920)


@pytest.mark.parametrize("block", [7, 1024])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_statistics_are_numpy_s_on_the_valid_pixels(tmp_path, monkeypatch, dtype, block):
    """Bands go by their number in the file; validation does not count; nor does a hole."""
    monkeypatch.setattr(images, "BLOCK", block)
    nodata = np.nan if dtype == np.float32 else -5 if dtype == np.int16 else 0
    both = []
    for number in range(2):
        folder, name = tmp_path / "toy/train", f"{number:02d}"
        both.append(write_scene(folder, name, number, dtype=dtype, nodata=nodata)[1])
    write_scene(tmp_path / "toy/val", "100", 100, dtype=dtype, nodata=nodata)
    bands = np.concatenate(both, axis=1).astype(np.float64)
    valid = np.isfinite(bands).all(axis=0) & (bands != nodata).any(axis=0)
    assert (~valid).sum() == 2 * 24
    report, _ = look(tmp_path / "toy")
    assert sorted(report.bands) == ["1", "2", "3", "4"] and report.statistics_images == 2
    for number, figures in report.bands.items():
        values = bands[int(number) - 1][valid]
        assert figures["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert figures["std"] == pytest.approx(values.std(), rel=1e-12)
        assert (figures["min"], figures["max"]) == (values.min(), values.max())
        expected = np.percentile(values, [2, 98])
        assert [figures["p2"], figures["p98"]] == pytest.approx(expected, rel=1e-12)


def test_the_file_of_statistics_scales_the_images(root, tmp_path):
    raster = {"bands": [3, 2, 1, 4], "scale": {"statistics": str(tmp_path / "bands.json")}}
    report, found = look(root, raster=raster)
    assert "--statistics" in found["statistics"].fix and found["statistics"].severity == "error"
    write_statistics(tmp_path / "bands.json", report.bands, "toy", 3, report.statistics_lists)
    assert not check_dataset("toy").errors
    image = load_image(
        {"file_name": str(root / "train/images/00.tif")},
        RasterSpec((3, 2, 1, 4), ScaleSpec("statistics", file=str(tmp_path / "bands.json"))),
    )
    assert np.abs(image.bands[image.valid].mean(axis=0) - 127.5).max() < 5


def test_blocks_are_all_that_is_read_and_change_nothing(root, monkeypatch):
    whole = look(root)[0]
    sizes = []
    read = images.raw_pixels

    def watched(source, spec, window):
        sizes.append((window.height, window.width))
        return read(source, spec, window)

    monkeypatch.setattr(images, "BLOCK", 16)
    monkeypatch.setattr(images, "raw_pixels", watched)
    blocks = check_dataset("toy")
    assert len(sizes) == 4 * 9 and max(max(size) for size in sizes) == 16
    assert blocks.bands == whole.bands
    assert [entry.pixels.tolist() for entry in blocks.lists] == [
        entry.pixels.tolist() for entry in whole.lists
    ]


def test_a_mask_is_opened_once_for_all_blocks(root, monkeypatch):
    opened = []
    real = measure.opened_values
    monkeypatch.setattr(measure, "opened_values", lambda p, *r: opened.append(p) or real(p, *r))
    monkeypatch.setattr(images, "BLOCK", 16)
    look(root)
    assert len(opened) == len(set(opened)) == 4


def test_windows_are_counted_where_they_lie(root, monkeypatch):
    monkeypatch.setattr(images, "BLOCK", 16)
    report, _ = look(root, layout={**LAYOUT, "window": 20})
    assert report.lists[0].samples == 3 * 2 * 2
    expected = np.bincount(halves()[:40, :40].ravel())
    expected[0] -= 24
    assert report.lists[0].pixels.tolist() == (3 * expected).tolist()


def test_masks_on_another_grid_are_warped_and_said(root):
    coarse = {"pixel": 2.0, "origin": (500000, 2800004)}
    write_raster(root / "train/labels/00.tif", halves((22, 24))[None], **coarse)
    report, found = look(root)
    message = found["warped"].message
    assert found["warped"].severity == "warning" and not report.errors
    assert "1 mask on another grid than the image" in message
    assert "mask EPSG:32640 at 2 x 2 a pixel, image EPSG:32640 at 1 x 1 a pixel" in message
    assert "shifted by +0, -4 pixels (right, down)" in message


def test_a_mask_of_the_same_size_that_is_shifted_is_warped_too(root):
    write_raster(root / "val/labels/100.tif", halves()[None], origin=(500003, 2800000))
    report, found = look(root)
    assert "shifted by +3, +0 pixels" in found["warped"].message
    assert report.lists[-1].ignored_share > 3 / 48, "three columns have no mask"


def test_masks_that_lie_elsewhere_or_have_no_place(root):
    far = {"origin": (600000, 2800000)}
    write_raster(root / "train/labels/00.tif", halves()[None], **far)
    write_raster(root / "train/labels/01.tif", halves((30, 48))[None], crs=None)
    _, found = look(root)
    assert found["no overlap"].severity == found["size"].severity == "error"
    assert "do not overlap: the mask lies at" in found["no overlap"].message
    assert found["no overlap"].files == (str(root / "train/labels/00.tif"),)
    assert "Give both the same size, or both a georeference" in found["size"].message


def test_images_that_differ(root):
    write_scene(root / "train", "05", 5, crs="EPSG:32639")
    write_scene(root / "train", "06", 6, pixel=0.5)
    write_scene(root / "train", "07", 7, dtype=np.float32, nodata=np.nan)
    write_raster(root / "train/images/08.tif", np.stack([np.eye(40, 48, dtype=np.uint16)] * 5))
    write_raster(root / "train/labels/08.tif", halves()[None])
    _, found = look(root)
    assert {kind: f.message for kind, f in found.items() if f.severity == "warning"} == {
        "differing bands": "Images differ in bands: 4 (7 images), 5 (1 image).",
        "differing dtype": "Images differ in dtype: uint16 (7 images), float32 (1 image).",
        "differing crs": "Images differ in CRS: EPSG:32640 (7 images), EPSG:32639 (1 image).",
        "differing resolution": "Images differ in resolution: 1 x 1 (7 images), "
        "0.5 x 0.5 (1 image).",
    }


def test_bands_that_lack(root):
    _, found = look(root, raster={"bands": [1, 2, 5]})
    assert "asked for are [1, 2, 5]" in found["lacking band"].message
    assert set(found) == {"lacking band"}


def test_values_without_a_scale(root):
    report, found = look(root, raster={"bands": [1, 2, 3]})
    assert "uint16 values and no `raster.scale`" in found["no scale"].message
    assert "--statistics FILE" in found["no scale"].fix
    assert set(report.bands) == {"1", "2", "3"}, "the statistics that the fix asks for"


def test_a_raster_without_a_valid_pixel(root):
    write_raster(root / "train/images/00.tif", np.zeros((4, 40, 48), np.uint16), nodata=0)
    _, found = look(root)
    assert found["blank"].files == (str(root / "train/images/00.tif"),)
    assert "nothing to take percentiles of" in found["no percentiles"].message
    raster = RasterSpec((3, 2, 1, 4), ScaleSpec("percentile", (2.0,), (98.0,)))
    with pytest.raises(ValueError, match="percentiles are unknown"):
        read_raster(str(root / "train/images/00.tif"), raster)


def test_a_truncated_raster_is_named(root):
    path = root / "train/images/01.tif"
    path.write_bytes(path.read_bytes()[:6000])
    report, found = look(root)
    assert found["unreadable image"].files == (str(path),)
    assert report.statistics_images == 2


@pytest.fixture
def colored(root):
    """The same dataset with masks of three bands, in the colours of the classes."""
    colors = np.array([[200, 100, 0], [0, 0, 200]], np.uint8)
    for path in root.glob("*/labels/*.tif"):
        write_raster(path, colors[halves()].transpose(2, 0, 1))
    return root


def test_raster_masks_in_colours(colored):
    report, _ = look(colored, labels={"encoding": "color"})
    assert not report.errors and report.lists[0].classes.min() > 0.4


def test_raster_masks_in_colours_where_numbers_were_declared(colored):
    _, found = look(colored)
    assert "(200, 100, 0) (" in found["colours for numbers"].message


def test_raster_masks_in_numbers_where_colours_were_declared(root):
    _, found = look(root, labels={"encoding": "color"})
    assert "4 masks with numbers" in found["numbers for colours"].message


def test_of_a_large_raster_only_the_middle_is_looked_at_which_is_no_proof(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "BLOCK", 8)
    for part, name in (("train", "0"), ("val", "1")):
        pixels = np.random.default_rng(int(name)).integers(1, 255, (3, 24, 24), np.uint8)
        write_raster(tmp_path / f"toy/{part}/images/{name}.tif", pixels)
        mask = np.zeros((1, 24, 24), np.uint8)
        mask[:, 8:16, 8:16] = 255
        write_raster(tmp_path / f"toy/{part}/labels/{name}.tif", mask)
    register_toy(tmp_path / "toy", layout=LAYOUT)
    found = quick_check(["toy_1_1_labeled", "toy_val"])
    assert [(f.severity, f.kind) for f in found] == [("warning", "nothing labelled")] * 2
