"""Images and masks on disk: what is read, and what is refused by name."""

import cv2
import numpy as np
import pytest
from PIL import Image

from co2s.data.reading.cache import DecodeCache
from co2s.data.reading.io import read_image, read_label
from co2s.data.reading.labels import read_classes
from co2s.data.reading.samples import load_classes, load_image
from co2s.data.spec.reader import spec_from_dict


def write_bytes(path, extension, shape=(60, 70, 3), dtype=np.uint8):
    noise = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    content = cv2.imencode(extension, noise)[1].tobytes()
    path.write_bytes(content)
    return content


def mask(path, values, mode=None, palette=None):
    picture = Image.fromarray(np.array(values, np.uint8))
    if palette:
        picture.putpalette(palette)
    picture.save(path)
    return str(path)


def test_images_are_rgb(tmp_path):
    Image.new("RGB", (3, 2), (10, 20, 30)).save(tmp_path / "a.png")
    image, _ = read_image(str(tmp_path / "a.png"))
    assert image.shape == (2, 3, 3)
    assert image[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_cut_off_images_are_named(tmp_path, extension):
    path = tmp_path / f"broken{extension}"
    content = write_bytes(path, extension)
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ValueError, match="broken"):
        read_image(str(path))


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_decoders_that_fill_up_what_is_missing_are_not_believed(tmp_path, monkeypatch, extension):
    path = tmp_path / f"broken{extension}"
    content = write_bytes(path, extension)
    filled = cv2.imread(str(path))  # as OpenCV 4 returns for cut-off files
    monkeypatch.setattr(cv2, "imdecode", lambda *_: filled)
    assert read_image(str(path))[0].shape == filled.shape
    path.write_bytes(content[:-500])
    with pytest.raises(ValueError, match=rf"broken{extension} is cut off or damaged"):
        read_image(str(path))


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path):
    path = tmp_path / "long.jpg"
    content = write_bytes(path, ".jpg")
    expected, _ = read_image(str(path))
    path.write_bytes(content + b"appended by a camera" * 9)
    assert (read_image(str(path))[0] == expected).all()


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "it is empty"), (b"not an image", "Replace it by a PNG")]
)
def test_files_that_are_no_image_are_named(tmp_path, content, words):
    path = tmp_path / "text.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"text\.png cannot be read as an image: .*" + words):
        read_image(str(path))
    with pytest.raises(ValueError, match=r"text\.png cannot be read as a mask: .*" + words):
        read_label(str(path), "index")


def test_sixteen_bits_are_refused_instead_of_darkened(tmp_path):
    write_bytes(tmp_path / "deep.png", ".png", dtype=np.uint16)
    with pytest.raises(ValueError, match=r"deep\.png has uint16 pixels"):
        read_image(str(tmp_path / "deep.png"))


def test_palette_masks_give_numbers_or_colours(tmp_path):
    path = mask(tmp_path / "m.png", [[0, 1]], palette=[9, 8, 7, 6, 5, 4])
    assert read_label(path, "index").values.tolist() == [[0, 1]]
    assert read_label(path, "color").values.tolist() == [[[9, 8, 7], [6, 5, 4]]]


def test_colours_where_numbers_are_expected(tmp_path):
    path = mask(tmp_path / "m.png", [[[1, 2, 3]]])
    with pytest.raises(ValueError, match=r"m\.png holds RGB colours.*encoding: color"):
        read_label(path, "index")
    grey = mask(tmp_path / "grey.png", [[[1, 1, 1]]])
    assert read_label(grey, "index").values.tolist() == [[1]]


@pytest.mark.parametrize(
    ("labels", "raw", "expected"),
    [
        ({}, [[0, 1, 255]], [[0, 1, 255]]),
        ({"offset": -1, "ignore": [0]}, [[0, 1, 2]], [[255, 0, 1]]),
        ({"map": {7: 1, 255: 0}, "ignore": [3]}, [[7, 255, 3]], [[1, 0, 255]]),
    ],
)
def test_numbers_become_classes(tmp_path, content, labels, raw, expected):
    spec = spec_from_dict({**content, "labels": {"encoding": "index", **labels}})
    path = mask(tmp_path / "m.png", raw)
    assert read_classes(path, spec).tolist() == expected
    deep = tmp_path / "deep.png"
    Image.fromarray(np.array(raw, np.uint16)).save(deep)
    assert read_classes(str(deep), spec).tolist() == expected


@pytest.mark.parametrize(
    ("labels", "raw", "words"),
    [
        ({}, [[0, 2], [2, 9]], r"3 pixels .*none of the 2 classes of 'toy': \[2, 9\]"),
        ({"offset": -1}, [[0, 1], [1, 1]], r"1 pixels .*: \[0\].* 1 land, 2 water\."),
        ({"map": {5: 0}}, [[0, 5], [5, 5]], r".*: \[0\].* are 5 land\."),
    ],
)
def test_numbers_outside_the_classes_are_named(tmp_path, content, labels, raw, words):
    spec = spec_from_dict({**content, "labels": {"encoding": "index", **labels}})
    with pytest.raises(ValueError, match=r"bad\.png: " + words):
        read_classes(mask(tmp_path / "bad.png", raw), spec)


def test_colours_become_classes(tmp_path, content):
    content["classes"][1]["label_color"] = [1, 2, 3]
    labels = {"encoding": "color", "ignore": [[0, 0, 0]]}
    spec = spec_from_dict({**content, "labels": labels})
    path = mask(tmp_path / "m.png", [[[200, 100, 0], [1, 2, 3], [0, 0, 0]]])
    assert read_classes(path, spec).tolist() == [[0, 1, 255]]
    bad = mask(tmp_path / "bad.png", [[[200, 100, 0], [0, 0, 200]]])
    with pytest.raises(ValueError, match=r"bad\.png: 1 pixels .*\(0, 0, 200\).*\(1, 2, 3\) water"):
        read_classes(bad, spec)


def test_image_and_mask_of_different_size(tmp_path, content):
    write_bytes(tmp_path / "i.png", ".png", shape=(4, 6, 3))
    record = {
        "file_name": str(tmp_path / "i.png"),
        "sem_seg_file_name": mask(tmp_path / "m.png", np.zeros((4, 5))),
    }
    image = load_image(record)
    with pytest.raises(ValueError, match=r"m\.png is 4 x 5 pixels, its image .*i\.png 4 x 6"):
        load_classes(record, spec_from_dict(content), image)


def test_windows_of_a_mask_larger_than_its_image(tmp_path, content):
    write_bytes(tmp_path / "i.png", ".png", shape=(8, 8, 3))
    record = {
        "file_name": str(tmp_path / "i.png"),
        "sem_seg_file_name": mask(tmp_path / "m.png", np.zeros((16, 16))),
        "window": (0, 0, 4, 4),
    }
    with pytest.raises(ValueError, match=r"m\.png is 16 x 16 pixels, its image .*i\.png 8 x 8"):
        load_classes(record, spec_from_dict(content), load_image(record))


def test_the_cache_keeps_the_last_arrays_within_its_bytes():
    cache, decoded = DecodeCache(max_bytes=25), []

    def get(key):
        def decode():
            decoded.append(key)
            return np.zeros(10, np.uint8), None

        return cache.get((key,), decode)[0]

    for key in "abaca":
        assert not get(key).flags.writeable
    assert decoded == ["a", "b", "c"]  # c drove out b, which was used least lately
    get("b")
    assert decoded == ["a", "b", "c", "b"]


def test_windows_are_cut_from_image_and_mask_alike(toy):
    from co2s.data import get_records, get_spec

    layout = {"images": "{set}/images/{name}.png", "labels": "{set}/labels/{name}.png"}
    toy(layout={**layout, "window": 16})
    for record in get_records("toy_val"):
        image = load_image(record)
        classes = load_classes(record, get_spec("toy"), image)
        assert image.bands.shape == (16, 16, 3)
        assert (image.bands[..., 0] == 50 + 100 * classes).all()
