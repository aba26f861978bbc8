"""datasets/prepare_gid15.py: numbers from 0, black is 255, overlapping tiles, the paper's count."""

import numpy as np
import pytest

from co2s.data import get_spec
from co2s.preparation.tiling import tiles as tiling
from co2s.structures.windows import windows

from .conftest import pixels, stamps, write_scene

COLORS = [entry.color for entry in get_spec("gid15").classes]


@pytest.fixture
def raw(tmp_path):
    """One scene with all 15 classes and unlabelled pixels: image and numbers."""
    folder = tmp_path / "raw" / "fine"
    name = "GF2_PMS1__L1A0001-MSS1"
    label = folder / "label_15classes" / f"{name}_15label.tif"
    return write_scene(folder / "image_RGB" / f"{name}.tif", label, [*COLORS, (0, 0, 0)])


def test_tiles_overlap_by_a_quarter_and_count_from_zero(raw, prepare, capsys, refused):
    image, numbers = raw
    out = prepare("gid15", "--tile", 32, "--stride", 24)
    assert len(list((out / "labels").iterdir())) == 4
    name = "GF2_PMS1__L1A0001-MSS1_00008_00018.png"
    np.testing.assert_array_equal(pixels(out / "images" / name), image[8:, 18:])
    marks = pixels(out / "labels" / name)
    np.testing.assert_array_equal(marks, np.where(numbers == 15, 255, numbers)[8:, 18:])
    assert set(np.unique(marks)) == {*range(15), 255}
    text = capsys.readouterr().out
    assert "4 tiles of 1 scenes, 4 of them new" in text
    assert "make_splits.py --scene" in text and "The paper has 3420 tiles" in text
    before = stamps(out)
    prepare("gid15", "--tile", 32, "--stride", 24)
    assert stamps(out) == before
    refused(
        "gid15",
        r"was cut in another way: .*'stride': 24.*'stride': 32",
        "--tile",
        32,
        "--stride",
        32,
    )


def test_files_of_macos_are_no_scenes(raw, prepare, tmp_path, capsys):
    for path in list((tmp_path / "raw").rglob("*.tif")):
        path.with_name(f"._{path.name}").write_bytes(b"Mac OS X")
    copy = tmp_path / "raw" / ".Trashes" / "image_RGB" / "old.tif"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"")
    prepare("gid15")
    assert "of 1 scenes" in capsys.readouterr().out


def test_the_usual_stride_gives_the_papers_count():
    assert 10 * len(windows(6800, 7200, 512, 384)) == 2736 + 684
    assert len(windows(7200, 6800, 512, 384)) == len(windows(6800, 7200, 512, 384))
    assert 38 * len(windows(6000, 6000, 512, 512)) == 4924 + 548  # Potsdam


def test_a_stride_with_gaps_and_folders_of_other_names(raw, prepare, tmp_path, refused):
    refused("gid15", "stride of 40 leaves gaps", "--tile", 32, "--stride", 40)
    (tmp_path / "raw" / "fine" / "image_RGB").rename(tmp_path / "raw" / "fine" / "rgb")
    refused("gid15", r"no file 'image_RGB/\{scene\}\.tif'.*--images")
    assert (prepare("gid15", "--images", "rgb/{scene}.tif") / tiling.MARKER).is_file()


def test_a_colour_of_no_class(tmp_path, refused):
    folder = tmp_path / "raw"
    paths = folder / "image_RGB" / "a.tif", folder / "label_15classes" / "a_15label.tif"
    write_scene(*paths, [*COLORS, (1, 2, 3)])
    refused("gid15", r"a_15label\.tif: \d+ pixels.*\(1, 2, 3\) \(nearest: .*pond")
