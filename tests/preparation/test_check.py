"""The dataset check on files and lists: everything that can be wrong with them, and a clean set."""

import re
import shutil

import cv2
import numpy as np
import pytest

from co2s.preparation.check import check_dataset
from co2s.preparation.check.report import as_text, findings_text

from ..data.conftest import write_pair
from .check_toy import checked, register_toy, rewrite, write_toy

pytestmark = pytest.mark.usefixtures("clean_catalog")


@pytest.fixture
def root(tmp_path):
    return write_toy(tmp_path / "toy")


def test_a_clean_dataset_has_no_finding(root):
    report, found = checked(root)
    assert not found and not report.errors
    assert [(entry.name, entry.samples) for entry in report.lists] == [
        ("toy_1_1_labeled", 4),
        ("toy_1_1_unlabeled", 0),
        ("toy_val", 2),
    ]
    text = as_text(report)
    assert "Nothing is wrong: 0 errors, 0 warnings, 0 facts." in text
    assert re.search(r"toy_1_1_unlabeled \| +0 \| +0 \| +- +\|", text)


def test_class_shares_are_those_of_the_masks(root):
    report, _ = checked(root)
    paths = (root / "train" / "labels").glob("*.png")
    water = np.stack([cv2.imread(str(path), 0) for path in paths]).mean()
    assert report.lists[0].classes == pytest.approx([1 - water, water])
    assert report.lists[0].ignored_share == 0
    assert report.lists[1].classes is None


@pytest.mark.parametrize("workers", [1, 2])
def test_truncated_files_are_named_and_the_rest_is_checked(root, workers):
    image, mask = root / "train/images/01.png", root / "train/labels/02.png"
    for path in (image, mask):
        path.write_bytes(path.read_bytes()[:-200])
    (root / "val/images/100.png").write_bytes(b"")
    (root / "val/labels/101.png").write_bytes(b"GIF89a nonsense")
    register_toy(root)
    report = check_dataset("toy", workers)
    found = {finding.kind: finding for finding in report.findings}
    assert set(found) == {"unreadable image", "unreadable mask"}
    assert found["unreadable image"].files == (str(image), str(root / "val/images/100.png"))
    assert found["unreadable mask"].files == (str(mask), str(root / "val/labels/101.png"))
    assert "01.png cannot be read as an image" in found["unreadable image"].message
    assert "take their samples off the lists" in found["unreadable mask"].fix
    assert report.statistics_images == 3
    assert len(report.errors) == 2


def test_a_damaged_header_does_not_keep_windows_from_being_listed(root):
    (root / "train/images/01.png").write_bytes(b"nonsense")
    layout = {
        "images": "{set}/images/{name}.png",
        "labels": "{set}/labels/{name}.png",
        "window": 16,
    }
    report, found = checked_first(root, layout=layout)
    assert "'toy_1_1_labeled' cannot be listed" in found["unreadable list"].message
    assert found["unreadable image"].files == (str(root / "train/images/01.png"),)
    assert {entry.name: entry.samples for entry in report.lists}["toy_val"] == 12


def checked_first(root, **changes):
    """As `checked`, with the first finding where several have the same kind."""
    register_toy(root, **changes)
    report = check_dataset("toy")
    return report, {finding.kind: finding for finding in reversed(report.findings)}


def test_missing_files_are_counted_and_named(root):
    lists = root / "splits" / "1_1"
    lists.mkdir(parents=True)
    lines = [f"train/images/{n:02d}.png train/labels/{n:02d}.png" for n in range(6)]
    (lists / "labeled.txt").write_text("\n".join(lines))
    (lists / "unlabeled.txt").write_text("")
    (root / "splits" / "val.txt").write_text("val/images/100.png val/labels/100.png")
    _, found = checked(root, layout=None, splits={"folder": "splits", "fractions": ["1_1"]})
    assert found["missing"].count == 4
    assert "4 listed files not there" in found["missing"].message
    assert str(root / "train/images/04.png") in found["missing"].files


def test_lists_that_overlap_repeat_or_are_not_there(root):
    lists = root / "splits" / "1_1"
    lists.mkdir(parents=True)
    line = "train/images/{0}.png train/labels/{0}.png\n".format
    (lists / "labeled.txt").write_text(line("00") + line("01") + line("01"))
    (lists / "unlabeled.txt").write_text("train/images/00.png\ntrain/images/02.png")
    (root / "splits" / "val.txt").write_text("train/images/02.png train/labels/02.png")
    splits = {"folder": "splits", "fractions": ["1_1", "1_2"]}
    report, found = checked_first(root, layout=None, splits=splits)
    messages = [finding.message for finding in report.findings if finding.kind == "overlap"]
    assert messages == [
        "'toy_1_1_labeled' and 'toy_1_1_unlabeled' share 1 sample.",
        "'toy_1_1_unlabeled' and 'toy_val' share 1 sample.",
    ]
    assert found["overlap"].files == ("train/images/00.png",)
    assert found["listed twice"].message == "'toy_1_1_labeled' lists 1 sample twice."
    assert found["missing list"].severity == "warning"
    assert "1_2/labeled.txt is missing" in found["missing list"].message


def test_an_image_with_two_masks_is_counted_once(root):
    shutil.copy(root / "train/labels/00.png", root / "train/labels/other.png")
    for split, mask in (("1_1", "00"), ("1_2", "other")):
        (root / "splits" / split).mkdir(parents=True)
        line = f"train/images/00.png train/labels/{mask}.png"
        (root / "splits" / split / "labeled.txt").write_text(line)
        (root / "splits" / split / "unlabeled.txt").write_text("train/images/01.png")
    (root / "splits" / "val.txt").write_text("val/images/100.png val/labels/100.png")
    report, found = checked(
        root, layout=None, splits={"folder": "splits", "fractions": ["1_1", "1_2"]}
    )
    assert not found and report.statistics_images == 2
    assert report.bands["1"]["pixels"] == 2 * 40 * 48
    shares = {entry.name: entry.pixels.tolist() for entry in report.lists}
    assert shares["toy_1_1_labeled"] == shares["toy_1_2_labeled"] != [0, 0]


def test_an_empty_list_is_said(tmp_path):
    splits = {"fractions": ["1_8"], "train": {"set": ["train"]}, "val": {"set": ["val"]}}
    _, found = checked(write_toy(tmp_path / "toy"), splits=splits)
    assert found["empty list"].message == "'toy_1_8_labeled' has no sample."
    assert found["empty list"].severity == "warning"


def test_image_and_mask_of_different_sizes(root):
    rewrite([root / "train/labels/00.png"], lambda mask: mask[:-1])
    _, found = checked(root)
    assert "00.png: mask 39 x 48 pixels, image 40 x 48" in found["size"].message
    assert found["size"].severity == "error"


def test_equal_pixels_under_two_names(root):
    shutil.copy(root / "train/images/00.png", root / "train/images/03.png")
    same = cv2.imread(str(root / "train/images/01.png"))
    cv2.imwrite(str(root / "val/images/100.png"), same, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    _, found = checked(root)
    assert found["duplicates"].severity == "warning" and found["duplicates"].count == 2
    assert f"{root}/train/images/00.png = {root}/train/images/03.png" in found["duplicates"].message
    assert found["leak"].severity == "error"
    assert found["leak"].files == (
        str(root / "train/images/01.png"),
        str(root / "val/images/100.png"),
    )
    assert "in training and in validation" in found["leak"].message


def test_blank_images_are_no_duplicates(root):
    for path in (root / "train/images/00.png", root / "val/images/100.png"):
        cv2.imwrite(str(path), np.full((40, 48, 3), 7, np.uint8))
    _, found = checked(root)
    assert set(found) == {"blank"} and found["blank"].count == 2


def test_facts_that_are_harmless(root):
    write_pair(root / "train", "with space", 50, shape=(40, 64))
    write_pair(root / "val", "00", 51)
    report, found = checked(root)
    assert {kind: finding.severity for kind, finding in found.items()} == {
        "spaces": "info",
        "equal names": "info",
        "sizes": "info",
    }
    assert "2 different sizes, sides of 40 to 64 pixels." in found["sizes"].message
    assert "2 images in different folders share 1 file name" in found["equal names"].message
    assert not report.errors


def test_images_of_more_than_8_bits_or_with_holes(root):
    cv2.imwrite(str(root / "train/images/00.png"), np.arange(1920, dtype=np.uint16).reshape(40, 48))
    rgba = cv2.imread(str(root / "train/images/01.png"), cv2.IMREAD_UNCHANGED)
    alpha = np.full((40, 48, 1), 255, np.uint8)
    alpha[:10] = 0
    cv2.imwrite(str(root / "train/images/01.png"), np.concatenate([rgba, alpha], 2))
    report, found = checked(root)
    assert "uint16 pixels; models see 8 bits" in found["unreadable image"].message
    assert "1 image with invalid pixels" in found["nodata"].message
    assert "5.00% of all" in found["nodata"].message
    assert found["differing bands"].severity == "warning"
    assert report.lists[0].ignored_share == pytest.approx(1 / 16)


def test_a_dataset_without_a_sample_or_a_folder(tmp_path):
    register_toy(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match="folder of dataset 'toy' is missing"):
        check_dataset("toy")
    (tmp_path / "away").mkdir()
    with pytest.raises(ValueError, match=r"No list of .*toy_val.* has a sample"):
        check_dataset("toy")


def test_a_finding_shows_its_first_files_and_its_fix(root):
    for path in sorted((root / "train/images").glob("*.png")):
        path.write_bytes(b"")
    report, _ = checked(root)
    text = findings_text(report.findings, report.root)
    assert "first: train/images/00.png, train/images/01.png, train/images/02.png, ..." in text
    assert "fix: Replace them, or take them off the lists." in text
    assert "Something is wrong: 1 error, 0 warnings" in text
