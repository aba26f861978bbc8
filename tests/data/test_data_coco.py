"""COCO annotation files: outlines drawn as classes."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from co2s.data import get_records, register_dataset
from co2s.data.reading.labels import read_classes
from co2s.data.reading.samples import load_labeled
from co2s.data.spec.reader import spec_from_dict

from .conftest import toy_content

SIDE = 8
CATEGORIES = [{"id": 3, "name": "water"}, {"id": 7, "name": "land"}, {"id": 9, "name": "shed"}]


def box(top, left, bottom, right):
    """(SIDE, SIDE) uint8, 1 within."""
    mask = np.zeros((SIDE, SIDE), np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return mask


def polygon(top, left, bottom, right):
    return [[left, top, right, top, right, bottom, left, bottom]]


def plain_rle(mask):
    """Runs of 0 and 1 by columns, 0 first."""
    flat = mask.ravel(order="F")
    starts = [0, *(np.flatnonzero(np.diff(flat)) + 1), flat.size]
    runs = np.diff(starts).tolist()
    return {"size": [SIDE, SIDE], "counts": runs if flat[0] == 0 else [0, *runs]}


def packed_rle(mask):
    packed = coco_mask.encode(mask)
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def one(category, segmentation, image=1, **more):
    return {"image_id": image, "category_id": category, "segmentation": segmentation, **more}


@pytest.fixture
def dataset(tmp_path, clean_catalog):
    """A function that writes four images, annotates some of them, and returns the spec."""

    def make(annotations, names=("a.png", "b.png", "c.png"), labels=None, **changes):
        (tmp_path / "images").mkdir(exist_ok=True)
        for name in "abcd":
            Image.new("RGB", (SIDE, SIDE)).save(tmp_path / f"images/{name}.png")
        content = {
            "categories": CATEGORIES,
            "images": [
                {"id": number, "file_name": name, "height": SIDE, "width": SIDE}
                for number, name in enumerate(names, start=1)
            ],
            "annotations": [{"id": n, **entry} for n, entry in enumerate(annotations)],
        }
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        labels = {"encoding": "coco", "file": "boxes.json", **(labels or {})}
        layout = {"images": "images/{name}.png"}
        splits = {"fractions": ["1_2"], "val": {"name": ["c"]}}
        spec = toy_content(**{"labels": labels, "layout": layout, "splits": splits, **changes})
        spec = spec_from_dict(spec)
        register_dataset(spec, tmp_path)
        return spec

    def classes(spec, image="a"):
        path = str(tmp_path / f"images/{image}.png")
        return read_classes(str(tmp_path / "boxes.json"), spec, path)

    make.classes = classes
    return make


@pytest.mark.parametrize(
    "outline",
    [polygon, lambda *edges: plain_rle(box(*edges)), lambda *edges: packed_rle(box(*edges))],
    ids=["polygon", "plain RLE", "compressed RLE"],
)
def test_outlines_become_classes_and_later_ones_win(dataset, outline):
    crowd = one(3, outline(3, 3, 6, 6), iscrowd=1)
    spec = dataset([one(7, outline(1, 2, 5, 6)), crowd, one(3, outline(0, 0, 1, 1), image=2)])
    expected = np.full((SIDE, SIDE), 255)
    expected[1:5, 2:6] = 0
    expected[3:6, 3:6] = 1
    assert (dataset.classes(spec) == expected).all()


def test_what_nobody_outlined_is_ignored_or_a_class(dataset):
    assert (dataset.classes(dataset([])) == 255).all()
    spec = dataset([one(3, polygon(0, 0, 2, 2))], labels={"background": "land"}, name="other")
    assert (dataset.classes(spec) == box(0, 0, 2, 2)).all()


def test_categories_by_map_and_ignored_ones(dataset):
    boxes = [one(9, polygon(0, 0, 8, 4)), one(3, polygon(0, 4, 8, 8))]
    spec = dataset(boxes, labels={"map": {9: 1}, "ignore": [3]})
    assert (dataset.classes(spec) == np.where(box(0, 0, 8, 4), 1, 255)).all()
    named = dataset(boxes, name="other")
    with pytest.raises(ValueError, match=r"category 9 \('shed'\).* by names: land, water.*map: {9"):
        dataset.classes(named)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([], "no outline, found .*Boxes alone"),
        (None, "no outline"),
        ([[1, 2, 3, 4]], "three corners"),
        ([[1, 2, 3, 4, 5, 6, 7]], "three corners"),
        ([[0, 0, float("nan"), 5, 5, 5]], "lies far from the image"),
        ([[0, 0, 81, 5, 5, 5]], "lies far from the image"),  # 1e12 would take for ever
        ({"size": [SIDE, 5], "counts": [40]}, r"size \[8, 5\], the image \[8, 8\]"),
        ({"size": [SIDE, SIDE], "counts": [3, 4]}, "does not add up"),
        ({"size": [SIDE, SIDE], "counts": ""}, "does not add up"),
        ({"size": [SIDE, SIDE], "counts": "0" * 50}, "does not add up"),
        ({"counts": [64]}, "'size'"),
    ],
)
def test_outlines_that_cannot_be_drawn_are_named(dataset, segmentation, words):
    spec = dataset([one(3, segmentation)])
    with pytest.raises(ValueError, match=rf"boxes\.json: the annotation 0 of a\.png .*{words}"):
        dataset.classes(spec)


def test_the_images_that_are_listed_are_labelled(dataset):
    dataset([one(3, polygon(0, 0, 4, 4), image=2)])
    labeled = get_records("toy_1_2_labeled")
    unlabeled = get_records("toy_1_2_unlabeled")
    assert [record["image_id"] for record in get_records("toy_val")] == ["images/c.png"]
    names = [record["image_id"] for record in labeled]
    assert len(names) == 1 and set(names) < {"images/a.png", "images/b.png"}
    assert len(unlabeled) == 2 and "images/d.png" in {r["image_id"] for r in unlabeled}
    assert all("sem_seg_file_name" not in record for record in unlabeled)


def test_windows_of_an_annotated_image(dataset):
    layout = {"images": "images/{name}.png", "window": 4}
    spec = dataset([one(3, polygon(0, 4, 4, 8), image=3)], layout=layout)
    records = get_records("toy_val")
    classes = {record["window"][:2]: load_labeled(record, spec)[1] for record in records}
    assert {place: set(np.unique(part)) for place, part in classes.items()} == {
        (0, 0): {255},
        (0, 4): {1},
        (4, 0): {255},
        (4, 4): {255},
    }


def test_windows_of_an_image_smaller_than_its_entry(dataset, tmp_path):
    spec = dataset([], layout={"images": "images/{name}.png", "window": 4})
    Image.new("RGB", (4, SIDE)).save(tmp_path / "images/c.png")
    with pytest.raises(ValueError, match=r"boxes\.json is 8 x 8 pixels, its image .*c\.png 8 x 4"):
        load_labeled(get_records("toy_val")[0], spec)


def test_lists_name_images_alone(dataset, tmp_path):
    (tmp_path / "splits/1_2").mkdir(parents=True)
    (tmp_path / "splits/1_2/labeled.txt").write_text("images/a.png\n")
    (tmp_path / "splits/1_2/unlabeled.txt").write_text("images/d.png\n")
    (tmp_path / "splits/val.txt").write_text("images/b.png\n")
    lists = {"splits": {"folder": "splits", "fractions": ["1_2"]}, "layout": None}
    dataset([], **lists)
    for name in ("toy_1_2_labeled", "toy_val"):
        assert get_records(name)[0]["sem_seg_file_name"].endswith("boxes.json")
    (tmp_path / "splits/val.txt").write_text("images/d.png\n")
    dataset([], **lists)
    with pytest.raises(ValueError, match=r"val\.txt: images/d\.png has no label"):
        get_records("toy_val")


def test_entries_and_images_must_meet(dataset, tmp_path):
    dataset([], names=("a.png", "b.png"))
    with pytest.raises(ValueError, match=r"does not list .*images/c\.png, which splits\.val"):
        get_records("toy_val")
    dataset([], names=("x.png",), name="other")
    with pytest.raises(ValueError, match=r"lists none of the 3 images: it has \['x\.png'\], the"):
        get_records("other_1_2_labeled")
    (tmp_path / "more").mkdir()
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "more/a.png")
    dataset([], name="third", layout={"images": "{folder}/{name}.png"})
    with pytest.raises(ValueError, match=r"'a\.png' may be .*images/a\.png or .*more/a\.png"):
        get_records("third_1_2_labeled")
    flat = [{"id": 1, "file_name": "a.png", "height": 0, "width": SIDE}]
    content = {"categories": CATEGORIES, "images": flat, "annotations": []}
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"boxes\.json .* \(at 0 x 8 for a\.png\)"):
        get_records("third_1_2_labeled")
    (tmp_path / "boxes.json").write_text("[]")
    with pytest.raises(ValueError, match=r"boxes\.json is no COCO annotation file"):
        get_records("third_1_2_labeled")
    (tmp_path / "boxes.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"boxes\.json \(labels\.file\) is missing"):
        get_records("third_1_2_labeled")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"file": None}, "labels.file must name the annotation file"),
        ({"offset": 1}, "labels.offset has no meaning for encoding: coco"),
        ({"background": "sky"}, r"labels\.background must be one of the classes .*'sky'"),
    ],
)
def test_wrong_label_sections(dataset, labels, words):
    with pytest.raises(ValueError, match=words):
        dataset([], labels=labels)


def test_two_places_of_labels(dataset):
    layout = {"images": "images/{name}.png", "labels": "masks/{name}.png"}
    with pytest.raises(ValueError, match=r"layout\.labels and labels\.file both say"):
        dataset([], layout=layout)
