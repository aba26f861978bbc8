"""The dataset check on labels: values that do not mean what the spec says, and the likely fix."""

import re

import cv2
import numpy as np
import pytest
from PIL import Image

from co2s.data.reading.labels import read_classes
from co2s.data.spec.reader import spec_from_dict
from co2s.preparation.check.masks import Meaning, count_values

from ..data.conftest import toy_content
from .check_toy import checked, classes, labels, paint, rewrite, write_toy

COLORS = [[200, 100, 0], [0, 0, 200]]  # of the toy's classes

pytestmark = pytest.mark.usefixtures("clean_catalog")


@pytest.fixture
def root(tmp_path):
    return write_toy(tmp_path / "toy")


def spread(number):
    """A function that gives a mask the values 0 .. number - 1, each somewhere."""

    def change(mask):
        return (np.arange(mask.size).reshape(mask.shape) // 40 % number).astype(np.uint8)

    return change


def test_values_outside_the_classes(root):
    def change(mask):
        mask[0, :5] = 7
        mask[1, 0] = 9
        return mask

    rewrite([root / "train/labels/02.png"], change)
    _, found = checked(root)
    finding = found["unknown values"]
    assert finding.severity == "error" and finding.files == (str(root / "train/labels/02.png"),)
    assert "1 mask with values that stand for none of the 2 classes, 6 pixels" in finding.message
    assert "7 (5 px), 9 (1 px)" in finding.message
    assert "add them to `labels.ignore`" in finding.fix


def test_colours_outside_the_classes(root):
    def change(mask):
        colored = paint(mask, COLORS)
        colored[0, 0] = (1, 2, 3)
        return colored

    rewrite(labels(root), change)
    _, found = checked(root, labels={"encoding": "color"})
    assert set(found) == {"unknown values"}
    assert "6 masks with colours" in found["unknown values"].message
    assert "(1, 2, 3) (6 px)" in found["unknown values"].message


def test_masks_of_0_and_255(root):
    rewrite(labels(root), lambda mask: mask * 255)
    _, found = checked(root)
    assert set(found) == {"0 and 255"} and found["0 and 255"].severity == "error"
    assert "map: {0: 0, 255: 1}" in found["0 and 255"].fix


@pytest.mark.parametrize("said", [{"map": {0: 0, 255: 1}}, {"ignore": [255]}])
def test_masks_of_0_and_255_as_declared(root, said):
    rewrite(labels(root), lambda mask: mask * 255)
    report, found = checked(root, labels={"encoding": "index", **said})
    assert not report.errors
    assert ("ignored" in found) == ("ignore" in said)


def test_colours_where_numbers_were_declared(root):
    rewrite(labels(root), lambda mask: paint(mask, [[10, 20, 30], [40, 50, 60]]))
    _, found = checked(root)
    assert set(found) == {"colours for numbers"}
    finding = found["colours for numbers"]
    assert "6 masks with colours, where numbers were declared" in finding.message
    assert "(10, 20, 30) (" in finding.message and "(40, 50, 60) (" in finding.message
    assert "`labels: {encoding: color}`" in finding.fix


def test_palette_masks_in_the_classes_colours_where_numbers_were_declared(root):
    for path in labels(root):
        image = Image.fromarray(cv2.imread(str(path), 0) + 3).convert("P")
        image.putpalette([0] * 9 + COLORS[0] + COLORS[1])
        image.save(path)
    _, found = checked(root)
    assert set(found) == {"colours for numbers", "unused"}
    assert "(200, 100, 0)" in found["colours for numbers"].message


def test_numbers_where_colours_were_declared(root):
    _, found = checked(root, labels={"encoding": "color"})
    assert set(found) == {"numbers for colours"}
    assert "6 masks with numbers" in found["numbers for colours"].message
    assert "`labels: {encoding: index}`" in found["numbers for colours"].fix
    rewrite(labels(root), lambda mask: mask * 255)
    _, found = checked(root, labels={"encoding": "color"})
    assert "map: {0: 0, 255: 1}" in found["numbers for colours"].fix


@pytest.mark.parametrize(
    ("values", "declared", "fix"),
    [
        ((1, 2, 3), {}, "Labels run from 1 to 3: `offset: -1`"),
        ((0, 1, 2, 3), {}, "If 0 is unlabelled: `offset: -1, ignore: [0]`"),
        ((0, 1, 2), {"offset": -1}, "Labels run from 0 to 2: `offset: 0`"),
        ((0, 1, 2, 3), {"offset": -1}, "If 0 is unlabelled: `ignore: [0]`"),
    ],
)
def test_labels_off_by_one(root, values, declared, fix):
    table = np.array(values, np.uint8)
    rewrite(labels(root), lambda mask: table[spread(len(values))(mask)])
    _, found = checked(root, classes=classes(3), labels={"encoding": "index", **declared})
    assert fix in found["unknown values"].fix


def test_labels_that_are_likely_off_by_one_though_all_are_known(root):
    rewrite(labels(root), lambda mask: spread(3)(mask) + 1)
    report, found = checked(root, classes=classes(4))
    assert found["absent classes"].message == "No list has a pixel of class0."
    assert "If labels start at 1 on disk, say `offset: -1`" in found["absent classes"].fix
    assert not report.errors


def test_classes_that_never_occur(root):
    _, found = checked(root, classes=classes(4))
    assert found["absent classes"].message == "No list has a pixel of class2, class3."
    assert "Take them out of `classes`" in found["absent classes"].fix


def test_a_class_that_one_list_lacks(root):
    rewrite((root / "val/labels").glob("*.png"), np.zeros_like)
    _, found = checked(root)
    assert found["class not in list"].message.startswith("'toy_val' has no pixel of water")


def test_lossy_masks(root):
    rng = np.random.default_rng(0)
    rewrite(labels(root), lambda mask: rng.integers(0, 256, (*mask.shape, 3), np.uint8))
    _, found = checked(root, labels={"encoding": "color"})
    assert "come from lossy compression or from resizing" in found["unknown values"].fix
    assert re.search(r"and \d+ more\.", found["unknown values"].message)


def test_partly_labelled_masks(root):
    def change(mask):
        mask[:10] = 255
        return mask

    rewrite([root / "train/labels/00.png"], change)
    rewrite([root / "train/labels/01.png"], lambda mask: np.full_like(mask, 255))
    report, found = checked(root)
    assert found["ignored"].severity == "info"
    assert "2 labelled samples with ignored pixels" in found["ignored"].message
    assert "1 of them with nothing else" in found["ignored"].message
    assert report.lists[0].ignored_share == pytest.approx((0.25 + 1) / 4)


def test_masks_stored_in_different_ways(root):
    rewrite(labels(root), lambda mask: paint(mask, COLORS))
    path = root / "train/labels/03.png"
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE).save(path)
    report, found = checked(root, labels={"encoding": "color"})
    assert set(found) == {"mixed masks"} and not report.errors
    assert "5 of colours, 1 of palette" in found["mixed masks"].message


def test_images_that_share_a_mask(root):
    for path in root.glob("*/images/*.png"):
        (root / "all").mkdir(exist_ok=True)
        path.rename(root / "all" / f"{path.parts[-3]}_{path.name}")
    (root / "train/labels/00.png").rename(root / "train.png")
    (root / "val/labels/100.png").rename(root / "val.png")
    rewrite([root / "train.png"], lambda mask: paint(mask, COLORS))
    layout = {"images": "all/{set}_{name}.png", "labels": "{set}.png"}
    report, found = checked(root, layout=layout)
    assert set(found) == {"colours for numbers", "mixed masks"}
    assert found["colours for numbers"].files == (str(root / "train.png"),)
    assert report.lists[-1].pixels.sum() == 2 * 40 * 48


def test_labels_of_unlabelled_images_are_not_opened(root):
    splits = {"fractions": ["1_4"], "train": {"set": ["train"]}, "val": {"set": ["val"]}}
    report, found = checked(root, splits=splits)
    assert report.lists[0].samples == 1 and not found
    for path in (root / "train/labels").glob("*"):
        path.write_bytes(b"")
    report, found = checked(root, splits=splits)
    assert found["unreadable mask"].count == 1, "of four masks, one is of a labelled image"


def test_a_count_of_runs_is_a_count():
    values = np.random.default_rng(0).integers(0, 4, (30, 7)).repeat(5, axis=1)
    found, counts = count_values(values)
    expected = np.unique(values, return_counts=True)
    assert found.tolist() == expected[0].tolist() and counts.tolist() == expected[1].tolist()
    assert count_values(values[:0])[1].size == 0


@pytest.mark.parametrize(
    "declared",
    [{"ignore": [3]}, {"map": {5: 0, 6: 1, 255: 1}, "ignore": [0]}, {"offset": -2}],
)
def test_meanings_are_those_of_training(tmp_path, declared):
    spec = spec_from_dict(toy_content(labels={"encoding": "index", **declared}))
    for value in range(256):
        path = str(tmp_path / "mask.png")
        cv2.imwrite(path, np.full((1, 1), value, np.uint8))
        meaning = Meaning(spec, "index")(value)
        if meaning < 0:
            with pytest.raises(ValueError, match="stand for none"):
                read_classes(path, spec)
        else:
            assert read_classes(path, spec).item() == meaning
