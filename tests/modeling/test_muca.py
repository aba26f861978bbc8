"""MUCA: its four terms written out, who sees what, and where a teacher is certain."""

import math

import pytest
import torch
import torch.nn.functional as F

from co2s.d2 import EventStorage, build_model
from co2s.layers import channel_dropout, item_noise
from co2s.modeling.meta_arch.disturbed import filled
from co2s.modeling.meta_arch.stacking import Labeled
from co2s.solver import build_optimizer

from .precision import check_mixed_precision

STEP = 5  # of 10


@pytest.fixture
def cfg(tiny_cfg):
    tiny_cfg.MODEL.META_ARCHITECTURE, tiny_cfg.MODEL.STUDENTS = "MUCA", ("local",)
    tiny_cfg.MODEL.EMA_DECAY = 0.9
    return tiny_cfg


def build(cfg):
    """A model with opinions, whose average has others."""
    torch.manual_seed(0)
    model = build_model(cfg).train()
    with torch.no_grad():
        for student in (*model.students.values(), *(t.module for t in model.teachers.values())):
            student.decoder.classifier()["predict"].weight.mul_(30)
        for parameter in model.teachers.parameters():
            parameter.mul_(1.1)
    return model


def losses_of(model, batch, step=STEP):
    with EventStorage(step):
        return {k.removesuffix("_local"): v for k, v in model(batch).items()}


def seen(model, batch):
    return Labeled.stacked(batch["labeled"], model.device), model.stacked(batch["unlabeled"])


def ramp(t):
    return math.exp(-5 * (1 - min(t, 1.0)) ** 2)


def test_the_terms_written_out(cfg, method_batch):
    cfg.MODEL.MUCA.ENTROPY, cfg.MODEL.MUCA.ENTROPY_RAMP = (0.9, 0.996), 1.0
    model, batch = build(cfg), method_batch(cfg)
    found, (x, u) = losses_of(model, batch), seen(model, batch)
    student, teacher = model.students["local"], model.teachers["local"].module
    strong = filled(x, u)
    on_strong, taught = student(strong), teacher(u.weak)
    counts = u.valid & ~u.boxes[0]
    error = 0.5 * (on_strong.softmax(1) - taught.softmax(1)).square().mean(1)
    agree = error[counts].mean()
    with EventStorage(STEP):
        certain = model.certainty(0, teacher, u)
    assert 0 < certain[counts].float().mean() < 1, "else it proves nothing"
    alike, own, others = 0.0, student.features(strong), teacher.features(u.weak)
    for name in ("dense", "skip_deep", "skip_shallow"):
        one, two = (F.layer_norm(m[name].movedim(1, -1), [32]) for m in (own, others))
        gap = (one - two).abs()
        huber = torch.where(gap < 1, gap.square() / 2, gap - 0.5).mean(-1)
        assert (gap > 1).any(), "both halves of Huber's loss take part"
        per_pixel = huber.repeat_interleave(8, 1).repeat_interleave(8, 2)
        alike = alike + (per_pixel * (counts & certain)).sum() / counts.sum()
    attention = model.attentions["local"].head
    mixed = {name: attention[name](own[name], others[name]) for name in attention}
    decoded = student.decode(mixed, (32, 32))
    named = F.cross_entropy(decoded, on_strong.argmax(1), reduction="none")[counts].mean()
    c = 3 * ramp(STEP / 10)
    expected = {
        "loss_sup": F.cross_entropy(student(x.images), x.target, ignore_index=255),
        "loss_consistency": c * agree,
        "loss_maps": c * alike,
        "loss_attention": 0.25 * named,
    }
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], loss, atol=1e-5, rtol=1e-4, msg=name)


def test_a_teacher_is_certain_where_the_mean_of_its_passes_is(cfg, method_batch):
    cfg.MODEL.MUCA.ENTROPY, cfg.MODEL.MUCA.ENTROPY_RAMP = (0.9, 1.0), 0.9
    model = build(cfg)
    _, u = seen(model, method_batch(cfg))
    teacher = model.teachers["local"].module
    mean = 0.0
    for stream in range(4, 8):  # of the second student
        noise = 0.1 * teacher.pixel_std * item_noise(u.weak, u.seeds, stream)
        maps = teacher.features(u.weak.float() + noise)
        maps = channel_dropout(maps, 0.5, u.seeds, stream)
        mean = mean + teacher.decode(maps, (32, 32)).softmax(1) / 4
    entropy = -(mean * mean.log()).sum(1) / math.log(6)
    threshold = 0.9 + 0.1 * ramp(0.5 / 0.9)
    with EventStorage(STEP):
        found = model.certainty(1, teacher, u)
    assert 0.01 < found.float().mean() < 0.99
    assert torch.equal(found, entropy <= threshold)


def test_after_the_ramp_there_are_no_passes(cfg, method_batch, monkeypatch):
    model = build(cfg)
    _, u = seen(model, method_batch(cfg))
    teacher, passes = model.teachers["local"].module, []
    decode = teacher.decode
    monkeypatch.setattr(teacher, "decode", lambda *args: passes.append(1) or decode(*args))
    for step, wanted in ((0, 4), (3, 4), (4, 0), (9, 0)):  # a third of ten steps
        passes.clear()
        with EventStorage(step):
            found = model.certainty(0, teacher, u)
        assert len(passes) == wanted and found.dtype == torch.bool
        assert wanted or found.all()
    cfg.MODEL.MUCA.LN2 = True  # of six classes, ln 2 is never enough for all
    with EventStorage(9):
        found = build(cfg).certainty(0, teacher, u)
    assert len(passes) == 4 and not found.all()


def test_the_student_sees_a_hole_and_its_teacher_none(cfg, method_batch, monkeypatch):
    model, batch = build(cfg), method_batch(cfg, seed=2)
    x, u = seen(model, batch)
    views, student = [], model.students["local"]
    features = student.features
    monkeypatch.setattr(
        student, "features", lambda images: views.append(images) or features(images)
    )
    losses_of(model, batch)
    (images,) = views
    assert torch.equal(images[:2], x.images)
    for item in range(2):
        box = u.boxes[0][item]
        grey = u.weak.new_tensor([124, 116, 104]).view(3, 1, 1)  # PIXEL_MEAN: 0 when normalised
        erased = (images[2 + item] == grey).all(0) & ~box
        assert bool(box.any()) != bool(erased.any()), "pasted into, or erased"
        assert torch.equal(images[2 + item][:, box], x.images[item][:, box])
        rest = ~box & ~erased
        assert torch.equal(images[2 + item][:, rest], u.weak[item][:, rest])


@pytest.mark.parametrize("pasted", [False, True])
def test_pasted_pixels_are_compared_where_that_is_wanted(cfg, method_batch, pasted):
    cfg.MODEL.MUCA.PASTED, cfg.MODEL.MUCA.ERASED = pasted, 0.0
    model, batch = build(cfg), method_batch(cfg)
    _, u = seen(model, batch)
    assert torch.equal(u.masks["strong1"], u.valid if pasted else u.valid & ~u.boxes[0])
    assert u.boxes[0].flatten(1).any(1).all()
    before = losses_of(model, batch)
    hidden = u.boxes[0] & u.valid

    def changed(m):
        """A teacher that says something else where something was pasted."""
        decode = m.teachers["local"].module.decode

        def other(maps, size):
            logits = decode(maps, size)
            return torch.where(hidden[:, None], logits.roll(1, 1) * 5, logits)

        m.teachers["local"].module.decode = other

    changed(model)
    after = losses_of(model, batch)
    assert torch.equal(before["loss_consistency"], after["loss_consistency"]) == (not pasted)


def test_what_is_known_of_the_pixels_moves_with_the_view(cfg, method_batch):
    batch = method_batch(cfg)
    for item in batch["unlabeled"]:
        item["valid"][:] = True
        item["image"] = torch.arange(32).repeat(3, 32, 1).byte() * 8  # a slope to the right
        item["diagnosis"] = torch.arange(32).repeat(32, 1).byte()
        item["grounding"] = torch.arange(32).repeat(6, 32, 1).byte()
    cfg.MODEL.MUCA.AFFINE = (0.0, 0.0, 0.0)
    still = build(cfg).stacked(batch["unlabeled"])
    assert still.valid.all() and torch.equal(still.weak[0], batch["unlabeled"][0]["image"])
    cfg.MODEL.MUCA.AFFINE = (30.0, 0.2, 0.1)
    for seed, item in enumerate(batch["unlabeled"]):
        item["seed"] = 11 + seed
    u = build(cfg).stacked(batch["unlabeled"])
    assert (u.weak != still.weak).any() and not u.valid.all() and u.valid.any()
    # Inside, class n is where the slope has the value 8n, to the half of a pixel.
    inside = u.valid
    assert (u.diagnosis[inside] * 8 - u.weak[:, 0][inside].long()).abs().max() <= 5
    assert torch.equal(u.grounding[:, 3].long()[inside], u.diagnosis[inside])
    outside = u.diagnosis == 255
    assert outside.any() and not (outside & inside).any()


def test_the_labels_that_are_told_of_are_the_average_s(cfg, method_batch, monkeypatch):
    model, told = build(cfg), {}
    monkeypatch.setattr(model, "watch", lambda x, u, weak, labels: told.update(labels, u=u))
    losses_of(model, method_batch(cfg))
    expected = model.teachers["local"](told["u"].weak)
    assert torch.equal(told["local"].label, expected.argmax(1))


def test_the_attention_learns_at_the_head_s_rate(cfg, method_batch):
    model = build(cfg)
    parameters = dict(model.attentions.named_parameters())
    assert len(parameters) == 12 and {n.split(".")[2] for n in parameters} == {
        "dense",
        "skip_deep",
        "skip_shallow",
    }
    ids = {id(p) for p in parameters.values()}
    for group in build_optimizer(cfg, model).param_groups:
        found = ids & {id(p) for p in group["params"]}
        assert not found or group["role"] == "head"
        ids -= found
    assert not ids
    losses = losses_of(model, method_batch(cfg))
    student = model.students["local"]
    reached = [*parameters.values(), student.head.predict.weight, student.head.embed.weight]
    for name, expected in (("loss_attention", True), ("loss_consistency", False)):
        grads = torch.autograd.grad(losses[name], reached, retain_graph=True, allow_unused=True)
        assert all((g is not None) == expected for g in grads[:12]), name
        assert all(g is not None for g in grads[12:]), name


@pytest.mark.parametrize("size", [30, 32])
@pytest.mark.parametrize("head", ["GuidedMaskHead", "DeepLabV3PlusHead", "LinearHead"])
def test_on_any_decoder_and_crop(cfg, method_batch, head, size):
    cfg.MODEL.LOCAL.HEAD.NAME = head
    if head != "GuidedMaskHead":
        cfg.MODEL.LOCAL.GUIDANCE.NAME = "NoGuidance"
    model, batch = build(cfg), method_batch(cfg)
    for half in batch.values():  # 30 pixels are padded to whole patches of 8
        for item in half:
            for key, value in item.items():
                item[key] = value[..., :size, :size] if torch.is_tensor(value) else value
    losses = losses_of(model, batch)
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())


@pytest.mark.parametrize("parts", [("backbone",), ("head",), ("backbone", "head")])
def test_in_mixed_precision(cfg, method_batch, parts):
    cfg.MODEL.STUDENTS = ("global", "local")  # maps of CLIP's are in the backbone's type
    check_mixed_precision(cfg, build, losses_of, method_batch(cfg), parts)


def test_what_cannot_be_is_refused(cfg):
    cfg.MODEL.MUCA.AFFINE = (30.0, 1.0, 0.1)
    with pytest.raises(ValueError, match=r"MUCA\.AFFINE is .* its second number, the scale"):
        build(cfg)
    cfg.MODEL.MUCA.AFFINE, cfg.MODEL.MUCA.DROPOUT = (30.0, 0.2, 0.1), 1.0
    with pytest.raises(ValueError, match=r"MODEL\.MUCA\.DROPOUT is 1\.0"):
        build(cfg)
