"""Items: their keys, and that unlabelled ones never touch a label."""

import builtins
import io
import shutil

import numpy as np
import torch

from co2s.data import EvalMapper, LabeledMapper, UnlabeledMapper, get_records
from co2s.data import mapper as mapping
from co2s.data.reading import samples
from co2s.structures import Views

VIEWS = Views(strong=2, cutmix=True)


def rng(seed=0):
    return np.random.default_rng(seed)


def check(value, dtype, *shape):
    assert value.dtype == dtype
    assert tuple(value.shape) == shape


def test_labelled_item(toy, toy_cfg):
    toy()
    toy_cfg.INPUT.RESIZE = "none"
    record = get_records("toy_1_2_labeled")[0]
    item = LabeledMapper(toy_cfg, ["toy_1_2_labeled"])(record, rng())
    check(item["image"], torch.uint8, 3, 32, 32)
    check(item["sem_seg"], torch.uint8, 32, 32)
    assert (item["image"][0].long() == 50 + 100 * item["sem_seg"].long()).all()
    assert (item["height"], item["width"]) == (40, 48)
    assert item["file_name"] == record["file_name"]
    assert item["image_id"] == record["image_id"]


def test_padding_of_a_labelled_item_is_ignored(toy, toy_cfg):
    toy(shape=(20, 48))
    toy_cfg.INPUT.RESIZE = "none"
    record = get_records("toy_1_2_labeled")[0]
    item = LabeledMapper(toy_cfg, ["toy_1_2_labeled"])(record, rng())
    assert (item["sem_seg"][20:] == 255).all()
    assert (item["sem_seg"][:20] < 2).all()


def test_unlabelled_item(toy, toy_cfg):
    toy(shape=(20, 48))
    toy_cfg.INPUT.RESIZE = "none"
    toy_cfg.INPUT.CUTMIX.PROB = 1.0
    record, partner = get_records("toy_1_2_unlabeled")[:2]
    item = UnlabeledMapper(toy_cfg, toy_cfg.DATASETS.UNLABELED, VIEWS)(record, partner, rng())
    for views in (item, item["partner"]):
        check(views["image"], torch.uint8, 3, 32, 32)
        check(views["strong"], torch.uint8, 2, 3, 32, 32)
        check(views["valid"], torch.bool, 32, 32)
        assert views["valid"].sum() == 20 * 32
        assert "sem_seg" not in views
    check(item["cutmix"], torch.bool, 2, 32, 32)
    assert item["cutmix"].any(2).any(1).all()
    assert not torch.equal(*item["cutmix"])
    assert not torch.equal(*item["strong"])
    assert isinstance(item["seed"], int)
    assert item["file_name"] == record["file_name"]
    assert item["partner"]["file_name"] == partner["file_name"]


def test_strong_views_show_the_crop_of_the_weak_view(toy, toy_cfg):
    toy()
    toy_cfg.INPUT.STRONG.JITTER_PROB = 0.0
    toy_cfg.INPUT.STRONG.GRAY_PROB = 0.0
    toy_cfg.INPUT.STRONG.BLUR_PROB = 0.0
    record, partner = get_records("toy_1_2_unlabeled")[:2]
    item = UnlabeledMapper(toy_cfg, toy_cfg.DATASETS.UNLABELED, VIEWS)(record, partner, rng())
    for views in (item, item["partner"]):
        assert torch.equal(views["strong"], torch.stack([views["image"]] * 2))


def test_unlabelled_images_need_no_label_files(toy, toy_cfg):
    root = toy()
    records = get_records("toy_1_2_unlabeled")
    shutil.rmtree(root / "train" / "labels")
    UnlabeledMapper(toy_cfg, toy_cfg.DATASETS.UNLABELED, VIEWS)(records[0], records[1], rng())


def test_unlabelled_items_open_no_label(toy, toy_cfg, monkeypatch):
    toy()
    opened = []

    def watched(path, *args, **kwargs):
        opened.append(str(path))
        return real(path, *args, **kwargs)

    real = builtins.open
    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr(io, "open", watched)
    monkeypatch.setattr(samples, "load_classes", None)
    monkeypatch.setattr(samples, "read_classes", None)
    for number, record in enumerate(get_records("toy_1_2_unlabeled")):
        # even a record that names a label, as from a split list, keeps it shut
        record = {**record, "sem_seg_file_name": "/nowhere/label.png"}
        UnlabeledMapper(toy_cfg, toy_cfg.DATASETS.UNLABELED, VIEWS)(record, record, rng(number))
    assert any("/images/" in path for path in opened)
    assert not [path for path in opened if "/labels/" in path or "label.png" in path]


def test_evaluation_item(toy, toy_cfg):
    toy(shape=(41, 50))
    record = get_records("toy_val")[0]
    item = EvalMapper(toy_cfg, ["toy_val"])(record)
    check(item["image"], torch.uint8, 3, 41, 50)
    check(item["sem_seg"], torch.int64, 41, 50)
    assert (item["image"][0].long() == 50 + 100 * item["sem_seg"].long()).all()
    assert (item["height"], item["width"]) == (41, 50)
    unlabeled = {key: value for key, value in record.items() if key != "sem_seg_file_name"}
    assert "sem_seg" not in EvalMapper(toy_cfg, ["toy_val"])(unlabeled)


def test_a_labelled_image_is_decoded_once(toy, toy_cfg, monkeypatch):
    toy()
    record, opened = get_records("toy_1_2_labeled")[0], []
    real = samples.read_image
    monkeypatch.setattr(
        samples, "read_image", lambda path, *more: opened.append(path) or real(path, *more)
    )
    mapper = LabeledMapper(toy_cfg, ["toy_1_2_labeled"])
    first, second = mapper(record, rng(1)), mapper(record, rng(1))
    assert len(opened) == 1
    assert all(torch.equal(first[key], second[key]) for key in ("image", "sem_seg"))
    with samples.labeled_cache(0):
        other = get_records("toy_1_2_labeled")[1]
        mapper(other, rng(1)), mapper(other, rng(1))
    assert len(opened) == 3


def test_of_a_partner_only_what_is_pasted_is_made(toy, toy_cfg, monkeypatch):
    toy()
    records = get_records("toy_1_2_unlabeled")
    mapper = UnlabeledMapper(toy_cfg, toy_cfg.DATASETS.UNLABELED, VIEWS)
    read, plain, alone = [], 0, 0
    real = mapping.load_image
    monkeypatch.setattr(mapping, "load_image", lambda *a: read.append(a) or real(*a))
    for number in range(40):
        read.clear()
        item = mapper(records[0], records[1], rng(number))
        boxes, partner = item["cutmix"], item["partner"]
        assert len(read) == (2 if boxes.any() else 1)
        if not boxes.any():
            alone += 1
            continue
        for box, view in zip(boxes, partner["strong"], strict=True):
            same = torch.equal(view, partner["image"])
            assert same or box.any()
            plain += same
    assert 4 < alone < 18  # of 40, each box empty with 1/2
    assert 10 < plain < 40  # a third of the rest, and a fifth of the views change nothing
