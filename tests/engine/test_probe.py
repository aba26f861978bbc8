"""Labelled patches as inference sees them, and the linear layer that is fitted to them."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from co2s.d2 import build_model, comm
from co2s.data import get_records, read_image
from co2s.engine import probe
from co2s.engine.probe import class_shares, fit_floor, fit_student, gather, seen
from co2s.modeling import build_student
from co2s.modeling.sliding_window import sliding_window_logits

LABELED = "engine_toy_1_4_labeled"


@pytest.fixture
def cfg(toy_cfg, complete):
    """A function (backbone) -> the configuration of one student with a linear head."""

    def make(backbone="ColorStatistics", *opts):
        toy_cfg.MODEL.META_ARCHITECTURE, toy_cfg.MODEL.STUDENTS = "OnlySup", ("local",)
        toy_cfg.MODEL.LOCAL.HEAD.NAME = "LinearHead"
        toy_cfg.MODEL.LOCAL.GUIDANCE.NAME = "NoGuidance"
        toy_cfg.MODEL.LOCAL.BACKBONE.NAME = backbone
        toy_cfg.TEST.PANELS = 0
        return complete(toy_cfg, *opts, training=True)

    return make


def student_of(cfg):
    torch.manual_seed(0)
    return build_student(cfg, cfg.MODEL.LOCAL)


def test_shares_by_hand():
    classes = torch.tensor(
        [
            [[0, 0, 1, 1, 2], [0, 1, 1, 255, 2], [2, 2, 255, 255, 0]],
            [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]],
        ]
    )
    targets, weights = class_shares(classes, 2, 3)
    assert targets.shape == (2 * 2 * 3, 3)
    expected = [[3 / 4, 1 / 4, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0], [1, 0, 0]]
    torch.testing.assert_close(targets[:6], torch.tensor(expected))
    assert weights.tolist() == [1, 3 / 4, 1 / 2, 1 / 2, 0, 1 / 4, 1, 1, 1 / 2, 1 / 2, 1 / 2, 1 / 4]
    assert torch.equal(targets[6:], torch.tensor([[0.0, 1.0, 0.0]] * 6))


def test_patches_are_those_of_the_windows_that_inference_looks_through(cfg):
    cfg = cfg()
    student = student_of(cfg)
    patches = gather(cfg, student)
    starts = (0, 13, 24)  # of windows of 16 pixels, 5/6 apart, in 40
    records = get_records(LABELED)
    assert len(patches.weights) == len(records) * 9 * 4 and patches.weights.eq(1).all()
    assert torch.equal(patches.groups, torch.arange(len(records)).repeat_interleave(9 * 4))
    number = 0
    for record in records:
        image = torch.from_numpy(read_image(record["file_name"])[0]).permute(2, 0, 1)
        edge = int((image.float().mean(0).mean(0) < 120).sum())  # dark left of it
        boxes = [(y + i, x + j) for y in starts for x in starts for i in (0, 8) for j in (0, 8)]
        for y, x in boxes:
            pixels = student.normalize(image[:, y : y + 8, x : x + 8]).flatten(1)
            expected = torch.cat([pixels.mean(1), pixels.std(1, unbiased=False)])
            torch.testing.assert_close(patches.features[number], expected, atol=1e-4, rtol=1e-4)
            light = min(max(x + 8 - edge, 0), 8) / 8
            torch.testing.assert_close(patches.targets[number], torch.tensor([1 - light, light]))
            number += 1


def test_an_item_is_seen_in_the_size_of_inference(cfg):
    cfg = cfg("ColorStatistics", "INPUT.TEST_SCALE", "0.5")
    item = {
        "image": torch.arange(2 * 4 * 6).view(2, 4, 6).byte(),
        "sem_seg": torch.tensor([[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 255, 255, 5, 5]] * 2),
        "valid": torch.tensor([[True] * 6] * 2 + [[False] * 2 + [True] * 4] * 2),
    }
    image, classes = seen(cfg, item)
    assert image.shape == (2, 2, 3) and classes.dtype == torch.int64
    assert classes.tolist() == [[0, 1, 2], [255, 255, 5]]
    model = build_model(cfg).eval()
    shown = []
    model.students["local"].register_forward_pre_hook(lambda m, args: shown.append(args[0]))
    model([item | {"image": torch.cat([item["image"], item["image"][:1]])}])
    torch.testing.assert_close(shown[0][0, :2], image)


def test_pixels_without_a_class_count_in_no_patch(cfg, toy, monkeypatch):
    """Right of column 20 nothing is labelled: patches that lie there are not gathered at all."""
    cfg = cfg("ColorStatistics", "INPUT.CROP_SIZE", "40")
    real = probe.seen

    def half(cfg, item):
        image, classes = real(cfg, item)
        classes[:, 20:] = 255
        return image, classes

    monkeypatch.setattr(probe, "seen", half)
    patches = gather(cfg, student_of(cfg))
    count = len(get_records(LABELED))
    assert patches.weights.view(count, 5, 3).eq(torch.tensor([1, 1, 0.5])).all()
    torch.testing.assert_close(patches.targets.sum(dim=1), torch.ones(count * 15))


def test_several_maps_are_joined_in_the_order_that_is_asked_for(cfg):
    cfg = cfg("TimmViT")
    student = student_of(cfg)
    names = ("skip_shallow", "dense")
    both, dense = gather(cfg, student, names), gather(cfg, student)
    assert both.features.shape[1] == 64
    torch.testing.assert_close(both.features[:, 32:], dense.features)
    weight, bias = fit_student(cfg, student, names)
    assert weight.shape == (2, 64) and bias.shape == (2,) and weight.dtype == torch.float32


def test_of_too_many_as_many_are_drawn_of_every_image_and_the_same_ones_again(cfg, monkeypatch):
    one = cfg()
    student = student_of(one)
    everything = gather(one, student)
    monkeypatch.setattr(probe, "PATCHES", 80)
    few = gather(one, student)
    images = len(get_records(LABELED))
    counts = few.groups.bincount()
    assert len(counts) == images and 9 <= counts.min() == counts.max() <= 80 // images
    rows = {(int(g), *row.tolist()) for g, row in zip(*everything[3::-3], strict=True)}
    drawn = [(int(g), *row.tolist()) for g, row in zip(*few[3::-3], strict=True)]
    assert rows >= {*drawn}
    assert all(torch.equal(a, b) for a, b in zip(few, gather(one, student), strict=True))
    other = gather(cfg("ColorStatistics", "SEED", "2"), student)
    assert not torch.equal(few.features, other.features)
    monkeypatch.setattr(probe, "NUMBERS", 6 * images * 2)  # two patches an image
    assert gather(one, student).groups.bincount().tolist() == [2] * images


def test_windows_that_are_not_drawn_from_are_not_looked_at(cfg, monkeypatch):
    cfg = cfg()
    student, looked = student_of(cfg), []
    student.backbone.register_forward_pre_hook(lambda m, args: looked.append(len(args[0])))
    monkeypatch.setattr(probe, "PATCHES", 3 * len(get_records(LABELED)))
    assert len(gather(cfg, student).weights) == sum(looked) == 3 * len(get_records(LABELED))


def test_two_processes_gather_what_one_does(cfg, monkeypatch):
    cfg = cfg()
    student = student_of(cfg)
    monkeypatch.setattr(probe, "PATCHES", 80)
    expected, parts = gather(cfg, student), []
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        monkeypatch.setattr(comm, "all_gather", lambda own: parts.append(own) or [own])
        assert len(gather(cfg, student).weights) == len(expected.weights) // 2
    monkeypatch.setattr(comm, "all_gather", lambda own: parts)
    found = gather(cfg, student)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_student_is_left_as_it_was(cfg):
    cfg = cfg("TimmViT")
    student = student_of(cfg).train()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    state = torch.get_rng_state()
    fit_student(cfg, student)
    assert student.training and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())
    assert all(p.grad is None for p in student.parameters())


def test_files_that_cannot_be_read_are_done_without_where_that_is_allowed(cfg, log):
    bad = Path(get_records(LABELED)[1]["file_name"])
    one = cfg()
    bad.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=bad.name):
        gather(one, student_of(one))
    allowed = cfg("ColorStatistics", "DATALOADER.MAX_BAD_FILES", "1")
    patches = gather(allowed, student_of(allowed))
    assert 1 not in patches.groups and f"Done without {bad}" in log.text
    Path(get_records(LABELED)[2]["file_name"]).write_bytes(b"no picture")
    with pytest.raises(ValueError, match="2 training files cannot be read"):
        gather(allowed, student_of(allowed))


@pytest.mark.parametrize("backbone", ["ColorStatistics", "TimmViT"])
def test_a_floor_is_a_linear_layer_on_the_features(cfg, backbone):
    cfg = cfg(backbone)
    model = fit_floor(cfg)
    (student,) = model.students.values()
    layer = student.head.predict
    assert not model.training
    image = torch.randint(0, 256, (3, 20, 12)).float()  # not whole patches
    with torch.no_grad():
        features = student.features(image[None])["dense"]
        logits = torch.einsum("nc,bchw->bnhw", layer.weight[..., 0, 0], features)
        logits = logits + layer.bias[:, None, None]
        resized = F.interpolate(logits, (24, 16), mode="bilinear", align_corners=False)
        found = sliding_window_logits(student, image, size=40, stride=40, batch=1)
    torch.testing.assert_close(found, resized[0, :, :20, :12], atol=1e-5, rtol=1e-5)
    expected = fit_student(cfg, student, for_iou=True)
    assert torch.equal(layer.weight[..., 0, 0], expected[0])
    assert torch.equal(layer.bias, expected[1])


def test_random_weights_are_those_of_the_seed(cfg):
    one = cfg("TimmViT")
    torch.rand(3)
    models = [fit_floor(one), fit_floor(one), fit_floor(cfg("TimmViT", "SEED", "7"))]
    first, again, other = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], again[name]) for name in first)
    name = next(name for name in first if "attn" in name and first[name].dim() == 2)
    assert not torch.equal(first[name], other[name])
