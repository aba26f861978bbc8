"""datasets/prepare_loveda.py: four folders into one, no clash of names, and what it refuses."""

import re

import numpy as np
import pytest
from PIL import Image

from co2s.data import get_spec, read_classes

from .conftest import pixels, stamps


def write_pair(folder, name, mask, size=(8, 8)):
    for kind, array in (("images_png", np.full((*size, 3), 7, np.uint8)), ("masks_png", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(folder / kind / name)


@pytest.fixture
def raw(tmp_path):
    """Two images in each folder, of the same names everywhere."""
    root = tmp_path / "raw"
    for number, part in enumerate(("Train", "Val")):
        for area in ("Rural", "Urban"):
            for name in ("0.png", "10.png"):
                mask = np.arange(8, dtype=np.uint8).reshape(1, 8).repeat(8, axis=0)
                mask[0] = number
                write_pair(root / part / area, name, mask)
    return root


@pytest.mark.parametrize("options", [[], ["--link"]])
def test_all_four_folders_under_names_of_their_own(raw, prepare, options, capsys):
    out = prepare("loveda", *options)
    names = sorted(path.name for path in (out / "images").iterdir())
    assert names == sorted(path.name for path in (out / "labels").iterdir())
    assert len(names) == 8 and {"train_rural_0.png", "val_urban_10.png"} < set(names)
    classes = read_classes(str(out / "labels" / "val_rural_0.png"), get_spec("loveda"))
    assert classes[1].tolist() == [255, 0, 1, 2, 3, 4, 5, 6]
    source = raw / "Val" / "Rural" / "masks_png" / "0.png"
    assert (out / "labels" / "val_rural_0.png").samefile(source) == bool(options)
    np.testing.assert_array_equal(pixels(out / "labels" / "val_rural_0.png"), pixels(source))
    before = stamps(out)
    prepare("loveda", *options)
    assert stamps(out) == before
    text = capsys.readouterr().out
    assert "8 images, 8 of them new" in text and "8 images, 0 of them new" in text
    assert "The paper has 4191 images (3771 + 420)" in text


def test_files_of_macos_are_passed_over(raw, prepare, refused):
    sidecar = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
    for folder in raw.glob("*/*/*"):
        (folder / "._0.png").write_bytes(sidecar)
        (folder / ".DS_Store").write_bytes(b"Bud1")
    (raw / ".DS_Store").write_bytes(b"Bud1")
    out = prepare("loveda")
    names = [path.name for path in (out / "images").iterdir()]
    assert len(names) == 8 and not [name for name in names if "._" in name]
    (raw / "Val").rename(raw / "val_set")
    refused("loveda", r"found in .*: \['Train', 'val_set'\]\.$")


def test_a_damaged_file_is_named_and_no_memory_address(raw, refused):
    for kind in ("images_png", "masks_png"):
        path = raw / "Train" / "Rural" / kind / "0.png"
        whole = path.read_bytes()
        path.write_bytes(b"no picture at all")
        assert "0x" not in refused("loveda", re.escape(str(path)))
        path.write_bytes(whole)


def test_other_layouts_are_refused(raw, tmp_path, refused):
    refused(
        "loveda",
        r"folder .*gone.Train.Rural.images_png; .*no such folder",
        "--raw",
        tmp_path / "gone",
    )
    (raw / "Train" / "Urban" / "masks_png" / "10.png").unlink()
    refused("loveda", r"holds 2 images, and 1 of them have no mask.*10\.png")
    (raw / "Val").rename(raw / "val_set")
    (raw / "Train" / "Urban" / "images_png" / "10.png").unlink()
    refused("loveda", r"Expected the folder .*Val.*found.*'Train', 'val_set'")


def test_masks_that_are_none_of_lovedas(raw, tmp_path, refused):
    folder = raw / "Train" / "Rural"
    write_pair(folder, "0.png", np.full((8, 8), 8, np.uint8))
    refused("loveda", r"masks_png.0\.png: 64 pixels have values.*\[8\]")
    write_pair(folder, "0.png", np.zeros((8, 9), np.uint8))
    refused("loveda", r"0\.png is 8 x 8 pixels, its mask \(8, 9\)")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
