"""Who validates and who is labelled; groups by names and by ground; folders written whole."""

import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from co2s.preparation.splits.choice import (
    choose_validation,
    greedy_cover,
    labeling_order,
)
from co2s.preparation.splits.folder import read_split_folder, write_split_folder
from co2s.preparation.splits.grouping import groups_by_blocks, groups_by_name, shares_ground
from co2s.preparation.splits.lists import make_lists
from co2s.preparation.splits.sides import choose_sides, parse_val
from co2s.preparation.splits.sources import Sample, from_patterns
from co2s.preparation.splits.summary import faults


def samples(number, groups=None):
    names = [f"images/{n:03d}.png" for n in range(number)]
    return [
        Sample(name, name.replace("images", "labels"), groups[n] if groups else name)
        for n, name in enumerate(names)
    ]


def test_a_cover_takes_what_adds_most_then_what_shows_it_well():
    counts = np.array([[9, 0, 0], [9, 1, 0], [9, 50, 0], [9, 60, 0], [0, 0, 3], [5, 0, 0]])
    assert greedy_cover(counts) == [2, 4]  # not the row with one pixel; the first good one
    assert greedy_cover(np.zeros((3, 2), int)) == []
    order = labeling_order([str(n) for n in range(6)], counts, seed=5)
    assert sorted(order) == list(range(6))
    assert set(order[:2]) in ({2, 4}, {3, 4})


def test_the_seed_moves_the_cover_too():
    counts = np.ones((40, 3), int)
    firsts = {labeling_order([str(n) for n in range(40)], counts, seed)[0] for seed in range(8)}
    assert len(firsts) > 4


def test_validation_is_whole_groups_of_about_the_number():
    groups = ["a"] * 10 + ["b"] * 3 + ["c"] * 4 + ["d"] * 3
    for seed in range(10):
        chosen = choose_validation(groups, 3, seed)
        assert chosen in ({"b"}, {"d"}, {"c"})
    assert choose_validation(["a"] * 10 + ["b"] * 9, 1, 0) == {"b"}  # the smallest, never none
    assert len(choose_validation(["a", "b", "c"], 3, 0)) == 2  # never all
    with pytest.raises(ValueError, match="All 4 labelled images are one group, 'a'"):
        choose_validation(["a"] * 4, 1, 0)


def test_validation_of_single_images_is_exact():
    for count in (1, 7, 19):
        assert len(choose_validation([str(n) for n in range(20)], count, 0)) == count


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.1", Fraction(1, 10)), ("1/5", Fraction(1, 5)), ("494", 494), ("a/v.txt", Path("a/v.txt"))],
)
def test_what_validates_in_words(text, value):
    assert parse_val(text) == value


@pytest.mark.parametrize("text", ["0", "1.0", "-1", "3/2", "ten", "0.0", "val"])
def test_senseless_validation(text):
    with pytest.raises(ValueError, match=f"a share between 0 and 1.*'{text}'"):
        parse_val(text)


def test_sides_keep_groups_together_and_leave_out_what_would_leak():
    groups = [str(n // 5) for n in range(40)]
    some = samples(40, groups)
    some += [Sample("images/u0.png", None, "0"), Sample("images/u9.png", None, "9")]
    for seed in range(6):
        sides = choose_sides(some, Fraction(1, 4), seed)
        assert len(sides.val) == 10
        assert not {s.group for s in sides.val} & {s.group for s in sides.train}
    given = frozenset(sample.image for sample in some[:5])
    sides = choose_sides(some, given, 0)
    assert {sample.image for sample in sides.val} == given
    assert len(sides.train) == 35 + 1  # without u0, whose group validates
    assert sides.remarks == ["1 images without a mask are left out: their group validates."]


def test_validation_that_cannot_be():
    some = samples(4, ["a", "a", "b", "b"])
    with pytest.raises(ValueError, match="asks for 4 of 4 labelled images: none would be left"):
        choose_sides(some, 4, 0)
    given = frozenset({"images/000.png"})
    with pytest.raises(
        ValueError, match=r"1 groups are on both sides, the first: 'a' has 1 train.* 1"
    ):
        choose_sides(some, given, 0)
    with pytest.raises(ValueError, match="No sample validates"):
        choose_sides(some, frozenset({"images/zzz.png"}), 0)
    bounds = np.array([[0, 0, 2, 2]] * 4)
    with pytest.raises(ValueError, match="No training sample with a mask is left"):
        choose_sides(some, 2, 0, bounds)


def test_lists_are_nested_exact_and_disjoint():
    train = samples(37)
    lists = make_lists(train, samples(2), ["1_8", "1_4", "1_2"], seed=3, counts=None)
    labelled = [{s.image for s in lists.labeled[split]} for split in ("1_8", "1_4", "1_2")]
    assert [len(names) for names in labelled] == [4, 9, 18]
    for smaller, larger in pairwise(labelled):
        assert smaller < larger
    for split in lists.labeled:
        names = [s.image for s in [*lists.labeled[split], *lists.unlabeled[split]]]
        assert sorted(names) == [s.image for s in train]
    with pytest.raises(ValueError, match="1_40 of 37 training samples is none"):
        make_lists(train, [], ["1_40"], 0, None)


def test_whole_groups_are_labelled_where_asked():
    train = samples(40, [str(n % 8) for n in range(40)])
    lists = make_lists(train, [], ["1_8", "1_5", "1_2"], 0, None, whole_groups=True)
    groups = []
    for split, wanted in (("1_8", 5), ("1_5", 8), ("1_2", 20)):
        inside = {s.group for s in lists.labeled[split]}
        assert not inside & {s.group for s in lists.unlabeled[split]}
        assert abs(len(lists.labeled[split]) - wanted) <= 2
        groups.append(inside)
    assert groups[0] < groups[1] < groups[2]
    assert lists.remarks == ["1_5: 10 labelled, not 8: groups stay whole."]


def test_scenes_by_name():
    names = ["images/GF2_PMS1__L1-MSS1_00_512.png", "a/2_10_0_0.png", "a/plain.png"]
    assert groups_by_name(names, "{scene}_{y}_{x}.png") == ["GF2_PMS1__L1-MSS1", "2_10", None]
    assert groups_by_name(["Tile 3/images/1.jpg"], "Tile {scene}/images/{n}.jpg") == ["3"]
    for pattern, words in (("{tile}.png", "must name the part"), ("{scene", "cannot be read")):
        with pytest.raises(ValueError, match=words):
            groups_by_name(names, pattern)


def write_geotiff(path, left, top, crs="EPSG:32633", size=16, pixel=10.0):
    rasterio = pytest.importorskip("rasterio", reason="blocks need the extra geo")
    from rasterio.transform import from_origin

    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "uint8"}
    if crs:
        options |= {"crs": crs, "transform": from_origin(left, top, pixel, pixel)}
    with rasterio.open(path, "w", **options) as target:
        target.write(np.zeros((1, size, size), np.uint8))


def test_blocks_of_ground(tmp_path):
    paths = [tmp_path / f"{n}.tif" for n in range(4)]
    for path, left in zip(paths, (0, 160, 320, -160), strict=True):  # 160 m wide
        write_geotiff(path, left, 160)
    names, bounds = groups_by_blocks([str(path) for path in paths], 320)
    assert names == ["0_0", "0_0", "1_0", "-1_0"]
    assert bounds[1].tolist() == [160, 0, 320, 160]
    shared = shares_ground(bounds, np.array([[150.0, 10, 170, 20]]))
    assert shared.tolist() == [True, True, False, False]
    assert not shares_ground(bounds[:1], bounds[1:]).any()  # neighbours touch


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_blocks_that_cannot_be(tmp_path):
    a, b, c = (str(tmp_path / f"{name}.tif") for name in "abc")
    write_geotiff(Path(a), 0, 0)
    write_geotiff(Path(b), 0, 0, crs="EPSG:32632")
    write_geotiff(Path(c), 0, 0, crs=None)
    with pytest.raises(ValueError, match=r"b\.tif has the CRS EPSG:32632, .*a\.tif has EPSG:32633"):
        groups_by_blocks([a, b], 100)
    with pytest.raises(ValueError, match=r"c\.tif has no CRS.*--scene"):
        groups_by_blocks([c], 100)
    with pytest.raises(ValueError, match="above 0 in units of the CRS, found -1"):
        groups_by_blocks([a], -1)


FILES = {"val.txt": "a b\n", "1_8/labeled.txt": "c d\n", "1_8/unlabeled.txt": "e\n"}


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_folder_is_written_once_and_replaced_only_when_told(tmp_path):
    folder = tmp_path / "splits"
    assert write_split_folder(folder, FILES)
    assert contents(folder) == FILES
    assert not write_split_folder(folder, FILES)
    other = {"val.txt": "x y\n", "1_4/labeled.txt": "", "1_4/unlabeled.txt": ""}
    with pytest.raises(FileExistsError, match=r"holds other lists already, 3 files.*--overwrite"):
        write_split_folder(folder, other)
    assert contents(folder) == FILES
    assert write_split_folder(folder, other, overwrite=True)
    assert contents(tmp_path) == {f"splits/{name}": text for name, text in other.items()}


def test_what_is_no_list_is_never_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"no split lists, the first: .*notes\.txt"):
        write_split_folder(tmp_path, FILES, overwrite=True)
    with pytest.raises(FileExistsError, match="is a file"):
        write_split_folder(tmp_path / "notes.txt", FILES)


def test_files_of_file_managers_are_no_obstacle_and_others_are(tmp_path):
    folder = tmp_path / "splits"
    write_split_folder(folder, FILES)
    (folder / ".DS_Store").write_bytes(b"Bud1")
    assert not write_split_folder(folder, FILES)
    assert write_split_folder(folder, {"val.txt": "new\n"}, overwrite=True)
    (folder / ".hidden").write_text("mine")
    with pytest.raises(FileExistsError, match=r"no split lists.*\.hidden"):
        write_split_folder(folder, FILES, overwrite=True)


def test_a_given_val_is_no_obstacle(tmp_path):
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "val.txt").write_text(FILES["val.txt"])
    with pytest.raises(FileExistsError):
        write_split_folder(tmp_path / "splits", FILES)
    assert write_split_folder(tmp_path / "splits", FILES, keep=tmp_path / "splits" / "val.txt")


def test_a_failure_leaves_the_old_lists(tmp_path, monkeypatch):
    folder = tmp_path / "splits"
    write_split_folder(folder, FILES)
    real = os.replace

    def fails(source, target):
        if Path(target) == folder and (Path(source) / "val.txt").read_text() == "new\n":
            raise OSError("disk full")
        real(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_split_folder(folder, {"val.txt": "new\n"}, overwrite=True)
    assert contents(tmp_path) == {f"splits/{name}": text for name, text in FILES.items()}


def test_lists_that_contradict_each_other():
    a, b, c = ((f"{name}.png", None) for name in "abc")
    lists = {
        "val.txt": [a],
        "1_8/labeled.txt": [a, a],
        "1_8/unlabeled.txt": [c],
        "1_4/labeled.txt": [b, c],
        "1_4/unlabeled.txt": [b],
    }
    assert faults(lists) == [
        "1_8/labeled.txt lists 1 samples more than once.",
        "val.txt and 1_8/labeled.txt share 1 samples, as a.png.",
        "1_4/labeled.txt and 1_4/unlabeled.txt share 1 samples, as b.png.",
        "1_8/labeled.txt is not inside 1_4/labeled.txt: 1 samples are not in it.",
    ]
    assert faults({"val.txt": [a], "1_8/labeled.txt": [b], "1_8/unlabeled.txt": [c]}) == []


def test_folders_without_lists(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no split lists: expected are val\.txt"):
        read_split_folder(tmp_path)


def test_patterns_that_find_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder of the dataset is missing: .*gone"):
        from_patterns(tmp_path / "gone", "images/*", "labels/*")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "Thumbs.db").touch()
    with pytest.raises(FileNotFoundError, match=r"No image under .* fits 'images/.*there: images"):
        from_patterns(tmp_path, "images/*", "labels/*")
    (tmp_path / "images" / "a.jpg").touch()
    with pytest.raises(FileNotFoundError, match=r"None of the 1 images .* should be labels/a\.jpg"):
        from_patterns(tmp_path, "images/*", "labels/*")
    with pytest.raises(ValueError, match=r"--labels '\*\*/\*\.png' must say exactly where"):
        from_patterns(tmp_path, "**/*.png", "**/*.png")
    with pytest.raises(ValueError, match=r"'labels/\{b\}\.png' uses 'b', which"):
        from_patterns(tmp_path, "images/{a}.jpg", "labels/{b}.png")


def test_stars_stand_for_the_same_in_images_and_masks(tmp_path):
    for name in ("images/a/1.png", "images/b/1.png", "masks/a_1.png", "masks/b_1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = from_patterns(tmp_path, "images/*/*.png", "masks/*_*.png").samples
    assert [(sample.image, sample.label) for sample in found] == [
        ("images/a/1.png", "masks/a_1.png"),
        ("images/b/1.png", "masks/b_1.png"),
    ]
    assert [s.label for s in from_patterns(tmp_path, "**/a/*.png", "masks/a_*.png").samples] == [
        "masks/a_1.png"
    ]
