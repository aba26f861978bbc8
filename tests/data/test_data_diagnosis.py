"""DATASETS.DIAGNOSE: which masks of unlabelled images are found, and that they lie as the image."""

from pathlib import Path

import numpy as np
import torch

from co2s.data import UnlabeledMapper, get_records, register_dataset
from co2s.data.catalog import known_masks
from co2s.data.spec.reader import spec_from_dict
from co2s.structures import Views

from .conftest import toy_content

VIEWS = Views(strong=2, cutmix=True)
UNLABELED = ["toy_1_2_unlabeled"]


def items(cfg, count=4):
    mapper = UnlabeledMapper(cfg, UNLABELED, VIEWS)
    records = get_records(UNLABELED[0])
    for seed in range(count):
        pair = records[seed % len(records)], records[(seed + 1) % len(records)]
        yield mapper(*pair, np.random.default_rng(seed))


def test_the_mask_goes_through_the_geometry_of_the_image(toy, toy_cfg):
    toy(shape=(20, 48))
    toy_cfg.INPUT.RESIZE, toy_cfg.INPUT.ROTATE90 = "none", True
    toy_cfg.DATASETS.DIAGNOSE = True
    for item in items(toy_cfg, 8):
        known, valid = item["diagnosis"], item["valid"]
        assert known.dtype == torch.uint8 and known.shape == (32, 32)
        assert ((known == 255) == ~valid).all()
        assert (item["image"][0][valid].long() == 50 + 100 * known[valid].long()).all()


def test_nothing_else_of_an_item_changes(toy, toy_cfg):
    toy()
    blind = [*items(toy_cfg)]
    toy_cfg.DATASETS.DIAGNOSE = True
    for one, two in zip(blind, items(toy_cfg), strict=True):
        assert "diagnosis" not in one
        assert two.keys() - one.keys() == {"diagnosis"}
        for key in ("image", "valid", "strong", "cutmix"):
            assert torch.equal(one[key], two[key]), key
        assert one["seed"] == two["seed"]
        assert torch.equal(one["partner"]["strong"], two["partner"]["strong"])


def test_images_whose_mask_is_not_there_are_unknown(toy, toy_cfg):
    root = toy(layout={
        "images": "{set}/images/{name}.png",
        "labels": "{set}/labels/{name}.png",
        "unlabeled": ["more/*.png"],
    })  # fmt: skip
    extra = root / "more" / "a.png"
    extra.parent.mkdir()
    extra.write_bytes((root / "train" / "images" / "00.png").read_bytes())
    found = known_masks(UNLABELED)
    unlabeled = {record["image_id"] for record in get_records(UNLABELED[0])}
    assert "more/a.png" in unlabeled
    assert {image for _, image in found} == unlabeled - {"more/a.png"}
    assert all(Path(path).parent == root / "train" / "labels" for path in found.values())
    toy_cfg.DATASETS.DIAGNOSE = True
    toy_cfg.INPUT.RESIZE = "none"
    record = next(r for r in get_records(UNLABELED[0]) if r["image_id"] == "more/a.png")
    item = UnlabeledMapper(toy_cfg, UNLABELED, VIEWS)(record, record, np.random.default_rng(0))
    assert (item["diagnosis"] == 255).all()


def test_labelled_images_may_take_part_without_their_labels(toy, toy_cfg):
    toy()
    toy_cfg.DATASETS.DIAGNOSE, toy_cfg.INPUT.RESIZE = True, "none"
    names, record = [*UNLABELED, "toy_val"], get_records("toy_val")[0]
    item = UnlabeledMapper(toy_cfg, names, VIEWS)(record, record, np.random.default_rng(0))
    assert "sem_seg" not in item and (item["diagnosis"] != 255).any()
    toy_cfg.DATASETS.DIAGNOSE = False
    item = UnlabeledMapper(toy_cfg, names, VIEWS)(record, record, np.random.default_rng(0))
    assert not {"sem_seg", "diagnosis"} & item.keys()


def test_split_lists_and_windows(toy, toy_cfg, tmp_path):
    root = toy(
        splits={"folder": "splits", "fractions": ["1_2"]},
        layout={
            "images": "{set}/images/{name}.png",
            "labels": "{set}/labels/{name}.png",
            "window": 20,
        },
    )
    folder = root / "splits" / "1_2"
    folder.mkdir(parents=True)
    (folder / "labeled.txt").write_text("train/images/00.png train/labels/00.png\n")
    lines = ["train/images/01.png train/labels/01.png", "train/images/02.png"]
    lines.append("train/images/03.png train/labels/none.png")
    (folder / "unlabeled.txt").write_text("\n".join(lines) + "\n")
    assert not any("sem_seg_file_name" in record for record in get_records(UNLABELED[0]))
    found = known_masks(UNLABELED)
    assert {image.split("@")[0] for _, image in found} == {"train/images/01.png"}
    assert len(found) == 4  # windows of 20 pixels in 40 x 48


def test_a_pool_without_any_mask_is_said(toy, log):
    root = toy(splits={"folder": "splits", "fractions": ["1_2"]}, layout=None)
    folder = root / "splits" / "1_2"
    folder.mkdir(parents=True)
    (folder / "unlabeled.txt").write_text("train/images/01.png\ntrain/images/02.png\n")
    assert known_masks(UNLABELED) == {}
    assert "no mask lies there for any image of toy_1_2_unlabeled" in log.text


def test_masks_of_other_classes_tell_nothing(toy, toy_cfg, clean_catalog, log):
    root = toy()
    one_class = [{"name": "all", "color": [0, 0, 0], "concepts": ["earth"]}]
    register_dataset(spec_from_dict(toy_content("other", classes=one_class)), root)
    names = [*UNLABELED, "other_1_2_unlabeled"]
    toy_cfg.DATASETS.DIAGNOSE, toy_cfg.INPUT.RESIZE = True, "none"
    mapper = UnlabeledMapper(toy_cfg, names, VIEWS)
    said = "other_1_2_unlabeled has other classes than the labelled images"
    assert log.text.count("DATASETS.DIAGNOSE") == log.text.count(said) == 1
    known = []
    for name in names:
        record = get_records(name)[0]
        item = mapper(record, record, np.random.default_rng(0))
        known.append(bool((item["diagnosis"] != 255).any()))
    assert known == [True, False]
