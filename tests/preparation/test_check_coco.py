"""The dataset check on COCO annotations: shares, sizes, and what names the image at fault."""

import json

import numpy as np
import pytest
from PIL import Image

from co2s.preparation.check import quick_check

from .check_toy import checked

SIDE = 8
LABELS = {"encoding": "coco", "file": "annotations.json"}
PLACES = {
    "labels": LABELS,
    "layout": {"images": "images/{name}.png"},
    "splits": {"fractions": ["1_2"], "val": {"name": ["2", "3"]}},
}

pytestmark = pytest.mark.usefixtures("clean_catalog")


@pytest.fixture
def root(tmp_path):
    """A function (height of the left half in the annotations of image 0) that writes four images.

    The left half is land (category 1), the upper quarter of the right one water (2)."""

    def write(height=SIDE, category=1):
        root = tmp_path / "toy"
        (root / "images").mkdir(parents=True)
        images, annotations = [], []
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(root / f"images/{number}.png")
            size = {"height": SIDE if number else height, "width": SIDE}
            images.append({"id": number, "file_name": f"{number}.png", **size})
            for kind, (left, bottom) in ((category, (0, SIDE)), (2, (4, 2))):
                outline = [[left, 0, left + 4, 0, left + 4, bottom, left, bottom]]
                annotations.append(
                    {"id": 1, "image_id": number, "category_id": kind, "segmentation": outline}
                )
        categories = [{"id": 1, "name": "land"}, {"id": 2, "name": "water"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations.json").write_text(json.dumps(content))
        return root

    return write


def val(report):
    return next(entry for entry in report.lists if entry.role == "val")


def test_shares_are_those_of_the_outlines(root):
    report, found = checked(root(), **PLACES)
    assert set(found) == {"ignored"}  # where no outline is
    shares = val(report)
    assert shares.classes.tolist() == [0.8, 0.2] and shares.ignored_share == 0.375
    assert quick_check(["toy_1_2_labeled", "toy_val"]) == []


def test_the_background_is_a_class(root):
    labels = {**LABELS, "background": "water"}
    report, found = checked(root(), **{**PLACES, "labels": labels})
    assert not found and val(report).classes.tolist() == [0.5, 0.5]


def test_a_size_that_is_not_the_images(root):
    splits = {"fractions": ["1_1"], "val": {"name": ["2", "3"]}}
    _, found = checked(root(height=6), **{**PLACES, "splits": splits})
    assert "mask 6 x 8 pixels, image 8 x 8" in found["size"].message
    assert found["size"].files[0].endswith("images/0.png")


def test_a_category_without_a_class(root):
    _, found = checked(root(category=5), **PLACES)
    finding = found["unreadable mask"]
    assert "has the category 5" in finding.message and finding.count == 3
    assert all(path.endswith(".png") for path in finding.files)
