"""Images as cameras and editors write them: turned, grey, with palettes and alpha, huge."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from co2s.data.reading import formats, opening
from co2s.data.reading.io import image_size, read_image, read_label
from co2s.data.reading.labels import read_classes
from co2s.data.reading.orientation import orientation_of
from co2s.data.reading.samples import load_classes, load_image
from co2s.data.spec.raster import RasterSpec
from co2s.data.spec.reader import spec_from_dict

from .conftest import toy_content

SPEC = spec_from_dict(toy_content())


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def picture(height=4, width=6, bands=3):
    return np.random.default_rng(0).integers(1, 255, (height, width, bands), dtype=np.uint8)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "webp", "tif", "as raster"])
def test_images_and_masks_are_seen_upright(tmp_path, kind, turn):
    path = str(tmp_path / ("i.png" if kind == "as raster" else f"i.{kind}"))
    options = {"lossless": True} if kind == "webp" else {}
    Image.fromarray(picture()).save(path, exif=exif(turn), **options)
    raster = None
    if kind == "as raster":
        pytest.importorskip("rasterio")
        raster = RasterSpec()
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert (read_image(path, raster)[0] == expected).all()
    assert image_size(path, raster) == expected.shape[:2]
    part = read_image(path, raster, (1, 0, 2, 3))[0]
    assert (part == expected[1:3, :3]).all()
    assert (read_label(path, "color").values == expected).all()


def test_an_orientation_behind_the_pixels_of_a_png(tmp_path):
    path = tmp_path / "i.png"
    Image.fromarray(picture()).save(path, exif=exif(6))
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    end_chunk = content.index(b"IEND") - 4
    moved = content[:start] + content[end:end_chunk] + content[start:end] + content[end_chunk:]
    path.write_bytes(moved)
    assert orientation_of(str(path)) == 6 and image_size(str(path)) == (6, 4)


def test_a_portrait_and_its_mask_meet(tmp_path):
    Image.fromarray(picture(4, 6)).save(tmp_path / "i.jpg", exif=exif(6))
    Image.fromarray(np.ones((6, 4), np.uint8)).save(tmp_path / "m.png")
    record = {"file_name": str(tmp_path / "i.jpg"), "sem_seg_file_name": str(tmp_path / "m.png")}
    image = load_image(record)
    assert image.size == (6, 4) and (load_classes(record, SPEC, image) == 1).all()


def saved(tmp_path, image, kind, **options):
    path = str(tmp_path / f"i.{kind}")
    image.save(path, **options)
    return path


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("has_rasterio", [True, False])
def test_one_set_of_rules_for_grey_palette_and_alpha(tmp_path, monkeypatch, kind, has_rasterio):
    if has_rasterio:
        pytest.importorskip("rasterio")
    monkeypatch.setattr(formats, "_has_rasterio", lambda: has_rasterio)
    grey = picture(bands=1)[..., 0]
    rgb, valid = read_image(saved(tmp_path, Image.fromarray(grey), kind))
    assert valid is None and (rgb == grey[..., None]).all()
    indices = (grey % 2).astype(np.uint8)
    colors = np.array([[220, 40, 90], [20, 160, 60]], np.uint8)
    table = Image.fromarray(indices)
    table.putpalette(colors.tobytes())
    assert (read_image(saved(tmp_path, table, kind))[0] == colors[indices]).all()
    alpha = np.where(indices, 255, 0).astype(np.uint8)
    for bands in ([grey], [grey] * 3):
        rgb, valid = read_image(saved(tmp_path, Image.fromarray(np.dstack([*bands, alpha])), kind))
        assert (valid == (alpha > 0)).all()
        assert (rgb == np.where(valid, grey, 0)[..., None]).all()


def test_transparent_greys_and_colours_of_a_png(tmp_path):
    grey = np.array([[5, 6]], np.uint8)
    _, valid = read_image(saved(tmp_path, Image.fromarray(grey), "png", transparency=5))
    assert valid.tolist() == [[False, True]]
    three = Image.fromarray(np.dstack([grey] * 3))
    _, valid = read_image(saved(tmp_path, three, "png", transparency=(5, 5, 5)))
    assert valid.tolist() == [[False, True]]


def test_pillow_s_limit_is_not_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    monkeypatch.setattr(formats, "_has_rasterio", lambda: False)
    for kind in ("png", "bmp", "gif"):
        path = saved(tmp_path, Image.fromarray(picture()[..., 0] % 2), kind)
        assert read_image(path)[0].shape == (4, 6, 3) and image_size(path) == (4, 6)
        assert read_classes(path, SPEC).shape == (4, 6)
    assert Image.MAX_IMAGE_PIXELS == 4  # other people's guard stays


def test_opencv_s_limit_is_not_ours(tmp_path, monkeypatch):
    import cv2

    def refuse(*_):
        raise cv2.error("(-215:Assertion failed) pixels <= CV_IO_MAX_IMAGE_PIXELS")

    path = saved(tmp_path, Image.fromarray(picture()), "png")
    monkeypatch.setattr(cv2, "imdecode", refuse)
    assert (read_image(path)[0] == picture()).all()


def test_pictures_too_large_to_stay_in_memory_are_read_by_windows(tmp_path, monkeypatch):
    pytest.importorskip("rasterio")
    monkeypatch.setattr(formats, "_LARGE", 20)
    monkeypatch.setattr("co2s.data.reading.io.read_picture", None)  # would decode it whole
    monkeypatch.setattr("co2s.data.reading.io.read_picture_mask", None)
    record = {
        "file_name": saved(tmp_path, Image.fromarray(picture()), "png"),
        "sem_seg_file_name": str(tmp_path / "m.png"),
        "window": (1, 2, 2, 3),
    }
    numbers = picture(bands=1)[..., 0] % 2
    Image.fromarray(numbers).save(record["sem_seg_file_name"])
    image = load_image(record)
    assert (image.bands == picture()[1:3, 2:5]).all()
    assert (load_classes(record, SPEC, image) == numbers[1:3, 2:5]).all()


def test_what_memory_does_not_hold_is_named(tmp_path):
    with (
        pytest.raises(ValueError, match=r"i\.png cannot be read as an image.*tiled GeoTIFF"),
        opening.decoding("i.png", "an image"),
    ):
        raise MemoryError


def test_files_of_macos_are_named_without_an_address(tmp_path):
    path = tmp_path / "._0.png"
    path.write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(60))
    for read in (read_image, image_size, lambda path: read_label(path, "index")):
        with pytest.raises(ValueError, match=r"\._0\.png cannot be read as") as error:
            read(str(path))
        assert " at 0x" not in str(error.value)
