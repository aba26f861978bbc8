"""datasets/prepare_potsdam.py: tiles without a lost pixel, twice, and what it refuses."""

import numpy as np
import pytest
from PIL import Image

from co2s.data import get_spec, read_classes

from .conftest import pixels, stamps, write_scene

COLORS = [entry.color for entry in get_spec("potsdam").classes]


@pytest.fixture
def raw(tmp_path):
    """Two scenes in the distribution's folders; a function that gives the paths of one."""

    def paths(scene):
        return (
            tmp_path / "raw" / "2_Ortho_RGB" / f"top_potsdam_{scene}_RGB.tif",
            tmp_path / "raw" / "5_Labels_all" / f"top_potsdam_{scene}_label.tif",
        )

    for number, scene in enumerate(("2_10", "2_11")):
        write_scene(*paths(scene), [(0, 0, 0), *COLORS], seed=number)
    return paths


@pytest.mark.parametrize("reader", ["rasterio", "pillow"])
def test_tiles_cover_every_pixel_with_its_class(raw, prepare, reader, request, capsys):
    if reader == "pillow":
        request.getfixturevalue("no_rasterio")
    image, numbers = write_scene(*raw("2_12"), [(0, 0, 0), *COLORS], seed=9)
    out = prepare("potsdam", "--tile", 32)
    tiles = sorted(path.name for path in (out / "images").iterdir())
    assert tiles == sorted(path.name for path in (out / "labels").iterdir())
    assert len(tiles) == 3 * 4 and "2_12_00008_00018.png" in tiles  # shifted back to the border
    joined, marks = np.zeros_like(image), np.full(numbers.shape, 99)
    for y, x in ((0, 0), (0, 18), (8, 0), (8, 18)):
        name = f"2_12_{y:05d}_{x:05d}.png"
        joined[y : y + 32, x : x + 32] = pixels(out / "images" / name)
        marks[y : y + 32, x : x + 32] = pixels(out / "labels" / name)
    np.testing.assert_array_equal(joined, image)
    np.testing.assert_array_equal(marks, numbers)  # 0 is unlabelled, classes count from 1
    classes = read_classes(str(out / "labels" / "2_12_00000_00000.png"), get_spec("potsdam"))
    np.testing.assert_array_equal(classes, np.where(numbers > 0, numbers - 1, 255)[:32, :32])
    assert "12 tiles of 3 scenes, 12 of them new" in capsys.readouterr().out


def test_masks_show_their_colours_in_a_viewer(raw, prepare):
    out = prepare("potsdam", "--tile", 64)  # larger than the scene: one tile of its size
    with Image.open(out / "labels" / "2_10_00000_00000.png") as mask:
        assert mask.size == (50, 40)
        shown = np.asarray(mask.convert("RGB"))
    np.testing.assert_array_equal(shown, pixels(raw("2_10")[1]))


def test_twice_is_once_and_a_gap_is_filled(raw, prepare, capsys):
    out = prepare("potsdam", "--tile", 32)
    before = stamps(out)
    prepare("potsdam", "--tile", 32)
    assert stamps(out) == before
    assert "8 tiles of 2 scenes, 0 of them new" in capsys.readouterr().out
    lost = out / "labels" / "2_11_00000_00018.png"
    lost.unlink()
    prepare("potsdam", "--tile", 32)
    assert {path: text for path, (_, text) in stamps(out).items()} == {
        path: text for path, (_, text) in before.items()
    }


@pytest.mark.parametrize("reader", ["rasterio", "pillow"])
def test_a_full_disk_is_no_fault_of_the_scene(raw, refused, monkeypatch, reader, request):
    if reader == "pillow":
        request.getfixturevalue("no_rasterio")

    def full(self, path, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    message = refused("potsdam", "No space left on device", "--tile", 32)
    assert "cannot be read" not in message


def test_an_interrupted_run_leaves_no_half_file(raw, prepare, monkeypatch):
    save, saved = Image.Image.save, []

    def broken(self, path, **options):
        save(self, path, **options)
        saved.append(path)
        if len(saved) == 3:  # the image of the second tile
            raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", broken)
    with pytest.raises(SystemExit):
        prepare("potsdam", "--tile", 32)
    monkeypatch.undo()
    names = [path.name for path in raw("2_10")[0].parents[2].glob("out/images/*.png")]
    assert sorted(n for n in names if not n.startswith(".")) == ["2_10_00000_00000.png"]
    out = prepare("potsdam", "--tile", 32)
    assert len(list((out / "images").glob("[!.]*.png"))) == 8
    assert not list(out.rglob(".*"))


def test_an_unknown_colour_is_named_and_may_be_given_a_class(raw, prepare, tmp_path, refused):
    label = raw("2_10")[1]
    colors = pixels(label).copy()
    colors[3, 4] = (252, 255, 0)
    Image.fromarray(colors).save(label)
    refused(
        "potsdam", r"2_10_label\.tif: 1 pixels.*\(252, 255, 0\) .*0\) car.*--also", "--tile", 64
    )
    assert not list((tmp_path / "out" / "labels").iterdir())
    out = prepare("potsdam", "--tile", 64, "--also", "252,255,0=car")
    assert pixels(out / "labels" / "2_10_00000_00000.png")[3, 4] == 5


@pytest.mark.parametrize(
    ("also", "words"),
    [
        ("252,255=car", "must look like 252,255,0=car, found '252,255=car'"),
        ("252,255,256=car", "must look like"),
        ("252,255,0", "must look like"),
        ("0,0,0=car", r"The colours \[\(0, 0, 0\)\] have a meaning in 'potsdam' already"),
        ("252,255,0=cars", r"'potsdam' has no class \['cars'\]"),
    ],
)
def test_a_wrong_also(raw, also, words, refused):
    refused("potsdam", words, "--also", also)


def test_other_layouts_are_refused(raw, tmp_path, refused):
    (tmp_path / "empty").mkdir()
    for options, words in (
        (["--raw", tmp_path / "gone"], r"raw distribution is missing: .*gone"),
        (
            ["--raw", tmp_path / "empty"],
            r"no file 'top_.*RGB\.tif'.*0 files: nothing",
        ),
        (
            ["--images", "{scene}_IRRG.tif"],
            r"no file '.*_IRRG.tif'.*4 files: 2_Ortho_RGB/",
        ),
        (["--images", "a.tif"], r"'a\.tif' must hold \{scene\}"),
        (["--labels", "top_{scene}_label.tif"], r"2 of 2 scenes .* have no mask.*'top_2_10_label"),
        (["--tile", "0"], "Sizes must be positive"),
    ):
        refused("potsdam", words, *options)
    (tmp_path / "raw" / "copy").mkdir()
    raw("2_10")[0].rename(tmp_path / "raw" / "copy" / raw("2_10")[0].name)
    write_scene(*raw("2_10"), COLORS)
    refused("potsdam", r"Two files under .* of the scene 2_10")


@pytest.mark.parametrize("reader", ["rasterio", "pillow"])
def test_files_that_are_not_what_they_should_be(raw, reader, request, refused):
    if reader == "pillow":
        request.getfixturevalue("no_rasterio")
    image, label = raw("2_10")
    good = image.read_bytes()
    image.write_bytes(b"no image")
    refused("potsdam", r"2_10_RGB\.tif cannot be read as")
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(image)
    refused("potsdam", r"2_10_RGB\.tif: expected an image of three 8-bit bands")
    image.write_bytes(good)
    Image.fromarray(np.zeros((40, 51, 3), np.uint8)).save(label)
    refused("potsdam", r"2_10_label\.tif is 40 x 51 pixels, its image .* 40 x 50")
