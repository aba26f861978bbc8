"""Patterns of file names, and unlabelled folders."""

from pathlib import Path

import pytest

from co2s.data import get_records, register_dataset
from co2s.data.patterns import match_pattern
from co2s.data.spec.reader import spec_from_dict

from .conftest import toy_content, write_pair


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("{a}/{b}.png", {"x/1.png": ("x", "1"), "y [0]/2.png": ("y [0]", "2")}),
        ("*/{b}.png", {"x/1.png": ("1",), "y [0]/2.png": ("2",)}),
        ("**/{b}.png", {"x/1.png": ("1",), "y [0]/2.png": ("2",), "x/deep/er/33.png": ("33",)}),
        ("x/?.png", {"x/1.png": ()}),
        ("y [0]/{b}.png", {"y [0]/2.png": ("2",)}),
        ("{a}/{a}.png", {}),
        ("x/{b}_RGB.png", {}),
    ],
)
def test_patterns(tmp_path, pattern, found):
    for path in ("x/1.png", "y [0]/2.png", "x/deep/er/33.png", "x/1.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "x" / "folder.png").mkdir()
    matches = {path: tuple(parts.values()) for path, parts in match_pattern(tmp_path, pattern)}
    assert matches == found


@pytest.mark.parametrize("pattern", ["{a}/{b}.png", "**/{b}.png", "*/*.png", "x/?*.png"])
def test_hidden_files_of_other_systems_are_passed_over(tmp_path, pattern):
    for path in ("x/1.png", "x/._1.png", "x/.DS_Store", ".cache/1.png"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    assert [path for path, _ in match_pattern(tmp_path, pattern)] == ["x/1.png"]


def test_links_that_lead_nowhere_are_missing_files(toy):
    root = toy()
    (root / "val/images/00.png").unlink()
    (root / "val/images/00.png").symlink_to(root / "gone.png")
    with pytest.raises(FileNotFoundError, match=r"1 of 4 files of 'toy_val' .*images.00\.png"):
        get_records("toy_val")


def test_folders_without_masks_join_the_unlabelled(tmp_path, clean_catalog):
    for number in range(4):
        write_pair(tmp_path / "train", f"{number}", number)
    write_pair(tmp_path / "val", "9", 9)
    for number in range(3):
        write_pair(tmp_path / "more" / f"area{number}", "1", 50 + number, labels=False)
    layout = toy_content()["layout"] | {"unlabeled": "more/**/*.png"}
    register_dataset(spec_from_dict(toy_content(layout=layout)), tmp_path)
    labeled, unlabeled = (get_records(f"toy_1_2_{role}") for role in ("labeled", "unlabeled"))
    assert (len(labeled), len(unlabeled)) == (2, 2 + 3)
    assert all("sem_seg_file_name" not in record for record in unlabeled)
    assert sum("more" in record["image_id"] for record in unlabeled) == 3


@pytest.mark.parametrize(
    ("cover", "corners"),
    [(False, {(0, 0), (0, 32)}), (True, {(0, 0), (0, 32), (0, 38), (18, 0), (18, 32), (18, 38)})],
)
def test_windows_and_what_is_left_at_the_border(tmp_path, clean_catalog, cover, corners):
    write_pair(tmp_path / "train", "0", 0, shape=(50, 70))
    write_pair(tmp_path / "train", "1", 1, shape=(20, 32))  # lower than a window
    layout = toy_content()["layout"] | {"window": 32, "cover": cover}
    splits = {"fractions": ["1_1"]}
    register_dataset(spec_from_dict(toy_content(layout=layout, splits=splits)), tmp_path)
    found = {"0": set(), "1": set()}
    for record in get_records("toy_1_1_labeled"):
        found[Path(record["file_name"]).stem].add(record["window"])
    assert found["0"] == {(*corner, 32, 32) for corner in corners}
    assert found["1"] == {(0, 0, 20, 32)}
