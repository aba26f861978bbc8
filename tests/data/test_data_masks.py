"""Masks in every form that tools write: one set of rules for pictures and for rasters."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from co2s.data.reading.io import read_label
from co2s.data.reading.labels import read_classes
from co2s.data.reading.samples import load_classes, load_image
from co2s.data.spec.reader import spec_from_dict

from .conftest import toy_content

NUMBERS = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
COLORS = np.array([[200, 100, 0], [0, 0, 200]], np.uint8)  # of the classes of toy_content
CLEAR = np.array([[True, False, False], [False, False, False]])  # the first pixel is transparent
EXPECTED = np.where(CLEAR, 255, NUMBERS)


def spec(**labels):
    return spec_from_dict(toy_content(labels={"encoding": "index", **labels}))


def palette(values):
    image = Image.fromarray(values)
    image.putpalette([*COLORS.tobytes(), 9, 9, 9])
    return image


def png(path, depth, kind, rows, width):
    """A PNG of a depth and kind that Pillow does not write; rows of packed bytes."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return str(path)


def forms():
    """(name, Pillow image, options of save, encodings): NUMBERS, transparent where CLEAR."""
    alpha = np.where(CLEAR, 0, 255).astype(np.uint8)
    three = np.dstack([NUMBERS] * 3)
    once = np.where(CLEAR, 7, NUMBERS).astype(np.uint8)
    yield "grey and alpha", Image.fromarray(np.dstack([NUMBERS, alpha])), {}, ("index",)
    yield "equal bands and alpha", Image.fromarray(np.dstack([three, alpha])), {}, ("index",)
    yield "colours and alpha", Image.fromarray(np.dstack([COLORS[NUMBERS], alpha])), {}, ("color",)
    both = ("index", "color")
    indices = palette(np.where(CLEAR, 2, NUMBERS).astype(np.uint8))
    yield "transparent index", indices, {"transparency": 2}, both
    yield "alpha of a palette", indices, {"transparency": bytes([255, 128, 0])}, both
    yield "transparent grey", Image.fromarray(once), {"transparency": 7}, ("index",)
    wide = Image.fromarray(once.astype(np.uint16))
    yield "transparent grey of 16 bits", wide, {"transparency": 7}, ("index",)


@pytest.mark.parametrize(
    ("image", "options", "encodings"), [pytest.param(*form[1:], id=form[0]) for form in forms()]
)
def test_transparent_is_ignored(tmp_path, image, options, encodings):
    image.save(tmp_path / "m.png", **options)
    for encoding in encodings:
        classes = read_classes(str(tmp_path / "m.png"), spec(encoding=encoding))
        assert classes.tolist() == EXPECTED.tolist()


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_transparent_is_ignored_in_tiffs_with_and_without_rasterio(tmp_path, monkeypatch, mode):
    pytest.importorskip("rasterio")
    alpha = np.where(CLEAR, 0, 255).astype(np.uint8)
    bands = [NUMBERS] * (3 if mode == "RGBA" else 1)
    Image.fromarray(np.dstack([*bands, alpha])).save(tmp_path / "m.tif")
    for has in (True, False):
        monkeypatch.setattr("co2s.data.reading.formats._has_rasterio", lambda has=has: has)
        assert read_classes(str(tmp_path / "m.tif"), spec()).tolist() == EXPECTED.tolist()


def test_sixteen_bits_keep_their_values(tmp_path):
    rows = [b"\x00\x01\x00\x00", b"\x01\x00\x00\x01"]
    path = png(tmp_path / "grey.png", 16, 0, rows, 2)
    assert read_label(path, "index").values.tolist() == [[1, 0], [256, 1]]
    tripled = [b"".join(row[n : n + 2] * 3 for n in (0, 2)) for row in rows]
    path = png(tmp_path / "rgb.png", 16, 2, tripled, 2)
    assert read_label(path, "index").values.tolist() == [[1, 0], [256, 1]]
    path = png(tmp_path / "la.png", 16, 4, [b"\x00\x01\xff\xff\x00\x02\x00\x00"], 2)
    mask = read_label(path, "index")
    assert mask.values.tolist() == [[1, 2]] and mask.known.tolist() == [[True, False]]
    with pytest.raises(ValueError, match=r"la\.png holds uint16 numbers.*colours have 8 bits"):
        read_label(path, "color")


@pytest.mark.parametrize(("depth", "byte"), [(1, 0b01100000), (2, 0b00_01_10_11), (4, 0x01)])
def test_narrow_greys_are_numbers_not_shades(tmp_path, depth, byte):
    path = png(tmp_path / "m.png", depth, 0, [bytes([byte])], 2)
    assert read_label(path, "index").values.tolist() == [[0, 1]]


def test_three_equal_bands_are_numbers_and_named_as_such(tmp_path):
    two = spec(map={0: 0, 255: 1})
    for name in ("m.png", "m.tif"):
        path = str(tmp_path / name)
        Image.fromarray(np.dstack([NUMBERS * 255] * 3)).save(path)
        assert (read_classes(path, two) == NUMBERS).all()
        Image.fromarray(np.dstack([NUMBERS] * 3)).save(path)
        with pytest.raises(ValueError, match=r"3 pixels have values .*: \[1\]") as error:
            read_classes(path, two)
        assert "colour" not in str(error.value)
        Image.fromarray(COLORS[NUMBERS]).save(path)
        with pytest.raises(ValueError, match=r"holds RGB colours.*encoding: color"):
            read_classes(path, two)


def test_greys_are_colours_too(tmp_path):
    content = toy_content(labels={"encoding": "color"})
    content["classes"][0]["color"], content["classes"][1]["color"] = [0, 0, 0], [1, 1, 1]
    for name in ("m.png", "m.tif"):
        Image.fromarray(NUMBERS).save(tmp_path / name)
        assert (read_classes(str(tmp_path / name), spec_from_dict(content)) == NUMBERS).all()


def test_the_band_of_a_picture(tmp_path):
    bands = np.dstack([NUMBERS, 1 - NUMBERS, NUMBERS * 0, NUMBERS])
    path = str(tmp_path / "m.png")
    Image.fromarray(bands).save(path)
    assert (read_classes(path, spec(band=2)) == np.where(NUMBERS, 1 - NUMBERS, 255)).all()
    assert (read_classes(path, spec(band=4)) == NUMBERS).all()  # alpha, read as numbers
    with pytest.raises(ValueError, match=r"m\.png has 4 bands; .*`labels` ask for band 5"):
        read_classes(path, spec(band=5))


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.float32, np.int16, np.uint32])
def test_geotiff_masks_of_any_type_beside_a_jpeg(tmp_path, dtype):
    geo = pytest.importorskip("tests.geo", reason="rasterio is the extra `geo`")
    Image.fromarray(np.dstack([NUMBERS] * 3)).save(tmp_path / "i.jpg")
    mask = geo.write_raster(tmp_path / "m.tif", np.stack([NUMBERS, 1 - NUMBERS]).astype(dtype))
    record = {"file_name": str(tmp_path / "i.jpg"), "sem_seg_file_name": mask}
    image = load_image(record)
    assert (load_classes(record, spec(), image) == NUMBERS).all()
    assert (load_classes(record, spec(band=2), image) == 1 - NUMBERS).all()
    part = {**record, "window": (0, 1, 2, 2)}
    assert (load_classes(part, spec(), load_image(part)) == NUMBERS[:, 1:]).all()


def test_compressed_rasters_beside_a_png(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    profile = {"driver": "GTiff", "height": 2, "width": 3, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "m.tif", "w", **profile, compress="lerc") as file:
        file.write(NUMBERS[None])
    assert (read_classes(str(tmp_path / "m.tif"), spec(), str(tmp_path / "i.png")) == NUMBERS).all()


def test_content_decides_not_the_name(tmp_path):
    Image.fromarray(NUMBERS).save(tmp_path / "m.tif", format="PNG")
    assert (read_classes(str(tmp_path / "m.tif"), spec()) == NUMBERS).all()
    Image.fromarray(NUMBERS).save(tmp_path / "m.png", format="TIFF")
    assert (read_classes(str(tmp_path / "m.png"), spec()) == NUMBERS).all()


def test_values_that_look_alike_are_told_apart(tmp_path):
    values = np.array([[1, 1.0000001, 1.5, np.nan]], np.float32)
    Image.fromarray(values).save(tmp_path / "m.tif")
    with pytest.raises(ValueError, match=r"3 pixels") as error:
        read_classes(str(tmp_path / "m.tif"), spec())
    assert "[1.0000001, 1.5, nan]" in str(error.value)
    assert "ignore: [.nan]" in str(error.value)
    whole = np.array([[1, 0, np.nan]], np.float32)
    Image.fromarray(whole).save(tmp_path / "m.tif")
    ignoring = spec(ignore=[float("nan")])
    assert read_classes(str(tmp_path / "m.tif"), ignoring).tolist() == [[1, 0, 255]]


def test_masks_of_other_raster_formats(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    profile = {"height": 2, "width": 3, "count": 1, "dtype": "uint8", "driver": "ENVI"}
    with rasterio.open(tmp_path / "m.bil", "w", **profile) as file:
        file.write(NUMBERS[None])
    assert (read_classes(str(tmp_path / "m.bil"), spec()) == NUMBERS).all()
