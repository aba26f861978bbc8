"""What is particular to UniMatch V2, WSCL, DWL and U2PL, against their written-out computation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from co2s.d2 import META_ARCH_REGISTRY, EventStorage, build_model
from co2s.modeling.meta_arch.pixel_contrast import Cells, PixelContrast
from co2s.modeling.meta_arch.stacking import Labeled
from co2s.solver import build_optimizer


@pytest.fixture
def build(tiny_cfg, eager):
    """A function (method) -> a model of the local student, with an average unlike it."""

    def make(name, ema=0.9):
        cfg = tiny_cfg
        cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.STUDENTS, cfg.MODEL.EMA_DECAY = name, ("local",), ema
        eager(cfg)
        torch.manual_seed(0)
        model = build_model(cfg).train()
        with torch.no_grad():
            for parameter in model.teachers.parameters():
                parameter.mul_(1.1)
        return model

    return make


def losses_of(model, batch, step=5):
    with EventStorage(step):
        return model(batch)


def seen(model, batch):
    """The stacked halves of a batch."""
    return Labeled.stacked(batch["labeled"], model.device), model.stacked(batch["unlabeled"])


def cross_entropy(logits, labels):
    return F.cross_entropy(logits, labels.label, reduction="none")


def test_the_field_is_registered():
    field = {"Co2S", "DWL", "FixMatch", "OnlySup", "U2PL", "UniMatch", "UniMatchV2", "WSCL"}
    field |= {"MUCA", "RSMTDF"}
    assert field <= {name for name, _ in META_ARCH_REGISTRY}


# UniMatch V2


def test_unimatch_v2_s_views_share_out_the_channels(build, tiny_cfg, method_batch, monkeypatch):
    tiny_cfg.MODEL.UNIMATCHV2.SPARED = 0.0
    model, given = build("UniMatchV2"), {}
    student = model.students["local"]
    features, decode = student.features, student.decode
    monkeypatch.setattr(student, "features", lambda x: given.setdefault("before", features(x)))
    monkeypatch.setattr(
        student, "decode", lambda maps, size: decode(given.setdefault("after", maps), size)
    )
    losses_of(model, method_batch(tiny_cfg))
    for name, before in given["before"].items():
        labeled, one, two = (given["after"][name] / before).mean((2, 3)).split(2)
        assert torch.equal(labeled, torch.ones_like(labeled))
        torch.testing.assert_close(one + two, torch.full_like(one, 2.0))
        assert 0.2 < (one > 1).float().mean() < 0.8


def test_unimatch_v2_s_loss(build, tiny_cfg, method_batch):
    tiny_cfg.MODEL.UNIMATCHV2.SPARED = 1.0
    model, batch = build("UniMatchV2"), method_batch(tiny_cfg)
    losses, (x, u) = losses_of(model, batch), seen(model, batch)
    student, teacher = model.students["local"], model.teachers["local"]
    labels = u.pseudo_labels(teacher(u.weak), teacher(u.partner))
    total = F.cross_entropy(student(x.images), x.target, ignore_index=255)
    for number in (1, 2):
        own = labels[f"strong{number}"]
        error = cross_entropy(student(u.strong[number - 1]), own)
        total = total + 0.5 * (error * own.valid).sum() / own.valid.sum()
    torch.testing.assert_close(sum(losses.values()), total / 2, atol=1e-4, rtol=1e-4)


# WSCL


@pytest.mark.parametrize("scalar", [False, True])
def test_wscl_learns_where_the_strong_view_is_certain(build, tiny_cfg, method_batch, scalar):
    tiny_cfg.MODEL.WSCL.SCALAR_LOSS = scalar
    model, batch = build("WSCL"), method_batch(tiny_cfg)
    losses, (_, u) = losses_of(model, batch), seen(model, batch)
    teacher = model.teachers["local"]
    own = u.pseudo_labels(teacher(u.weak), teacher(u.partner))["strong1"]
    logits = model.students["local"](u.strong[0])
    probs = logits.detach().softmax(1)
    bits = -(probs * probs.log2()).sum(1)
    certain = own.valid & (bits <= np.percentile(bits[own.valid].numpy(), 20))
    error = cross_entropy(logits, own)
    if scalar:  # all pixels learn a fifth
        expected = error[own.valid].mean() * certain.sum() / own.valid.sum()
    else:
        expected = error[certain].sum() / own.valid.sum()
    torch.testing.assert_close(losses["loss_strong_local"], expected, atol=1e-4, rtol=1e-3)


def test_wscl_needs_a_share(build, tiny_cfg):
    tiny_cfg.MODEL.WSCL.SHARE = 0.0
    with pytest.raises(ValueError, match=r"WSCL\.SHARE is 0\.0; give a share above 0"):
        build("WSCL")


# DWL


def test_dwl_s_pseudo_labels_teach_all_but_the_main_classifier(build, tiny_cfg, method_batch):
    model = build("DWL", ema=0.0)
    losses_of(model, method_batch(tiny_cfg))
    model.after_step(0)
    losses = losses_of(model, method_batch(tiny_cfg, seed=1))
    main = [*model.students["local"].head.predict.parameters()]
    second = [*model.second["local"].parameters()]
    decoder = [model.students["local"].head.spatial.branches[0][0].weight]
    for name, reached in (("sup", (True, False, True)), ("strong", (False, True, True))):
        for parameters, expected in zip((main, second, decoder), reached, strict=True):
            found = torch.autograd.grad(
                losses[f"loss_{name}_local"], parameters, retain_graph=True, allow_unused=True
            )
            assert all((g is not None) == expected for g in found)


def test_dwl_s_loss_is_weighted_by_rank(build, tiny_cfg, method_batch):
    model = build("DWL", ema=0.0)
    losses_of(model, method_batch(tiny_cfg), step=0)
    model.after_step(0)
    batch = method_batch(tiny_cfg, seed=1)
    losses, (_, u) = losses_of(model, batch, step=5), seen(model, batch)
    student = model.students["local"]
    labels = u.pseudo_labels(student(u.weak).detach(), u.weak)["weak"]
    k = 2 + 20 * 5 / 10  # of 10 steps
    weight = 2 / (1 + torch.exp(-k * model.ranks["local"].ranks(labels))) - 1
    assert 0 < (weight[labels.valid] > 0.5).float().mean() < 1
    logits = student(u.strong[0])  # the second classifier is still a copy of the main one
    expected = (cross_entropy(logits, labels) * weight * labels.valid).sum() / labels.valid.sum()
    torch.testing.assert_close(losses["loss_strong_local"], expected, atol=1e-4, rtol=1e-4)
    model.warmup = 6
    assert losses_of(model, batch, step=5)["loss_strong_local"] == 0
    assert losses_of(model, batch, step=6)["loss_strong_local"] > 0


def test_dwl_s_main_classifier_takes_over_once_a_period(build, tiny_cfg):
    tiny_cfg.MODEL.DWL.PERIOD, tiny_cfg.MODEL.DWL.ALPHA = 3, 0.25
    tiny_cfg.MODEL.LOCAL.HEAD.LINEAR_PATH = True
    model = build("DWL")
    own = model.students["local"].decoder.classifier()
    assert [*own] == ["predict", "linear"]
    with torch.no_grad():
        for key, layer in own.items():
            layer.weight.fill_(4.0), layer.bias.fill_(4.0)
            other = model.second["local"].head[key]
            other.weight.fill_(8.0), other.bias.fill_(0.0)
    for step, (weight, bias) in enumerate([(4, 4), (4, 4), (5, 3), (5, 3), (5, 3), (5.75, 2.25)]):
        model.after_step(step)
        for layer in own.values():
            assert {*layer.weight.unique().tolist()} == {weight}
            assert {*layer.bias.unique().tolist()} == {bias}


def test_dwl_s_second_classifier_starts_as_the_main_one_at_its_rate(build, tiny_cfg):
    model = build("DWL")
    prior = build("OnlySup")
    torch.nn.init.normal_(prior.students["local"].head.predict.weight)
    model.load_state_dict(prior.state_dict())
    second = model.second["local"].head["predict"]
    assert torch.equal(second.weight, prior.students["local"].head.predict.weight)
    tiny_cfg.SOLVER.HEAD_MULTIPLIER = 7.0
    groups = build_optimizer(tiny_cfg, model).param_groups
    (group,) = [g for g in groups if any(p is second.weight for p in g["params"])]
    assert group["role"] == "head"


# U2PL


def test_u2pl_leaves_out_the_unreliable_and_weighs_the_rest(build, tiny_cfg, method_batch):
    model, batch = build("U2PL"), method_batch(tiny_cfg)
    (_, u), teacher = seen(model, batch), model.teachers["local"]
    own = u.pseudo_labels(teacher(u.weak), teacher(u.partner))["strong1"]
    mixed = torch.where(u.boxes[0][:, None], u.partner, u.weak)
    probs = teacher(mixed).softmax(1)
    entropy = -(probs * probs.log()).sum(1)
    error = cross_entropy(model.students["local"](u.strong[0]), own).detach()
    for step, kept_share in ((0, 80), (5, 90), (10, 100)):
        limit = np.percentile(entropy[own.valid].numpy(), kept_share)
        kept = own.valid & (entropy <= limit + 1e-7)
        valid, reliable = own.valid.sum(), kept.sum()
        assert reliable / valid == pytest.approx(kept_share / 100, abs=0.01)
        expected = error[kept].mean() * valid / reliable
        found = losses_of(model, batch, step)["loss_strong_local"]
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_u2pl_warms_up_on_labels_alone_and_its_average_starts_after(build, tiny_cfg, method_batch):
    model, batch = build("U2PL"), method_batch(tiny_cfg)
    model.warmup = 2
    student, teacher = model.students["local"], model.teachers["local"].module
    contrast = model.contrasts["local"]
    for step in range(4):
        losses = losses_of(model, batch, step)
        trains = step >= 2
        assert (losses["loss_strong_local"] > 0) == trains
        with torch.no_grad():
            for parameter in (*student.parameters(), *contrast.head.parameters()):
                parameter.add_(0.01)
        model.after_step(step)
        same = torch.equal(student.head.predict.weight, teacher.head.predict.weight)
        assert same == (step <= 2), "copied, and averaged from the second step after"
        projected = contrast.head[0].weight, contrast.average.module[0].weight
        assert torch.equal(*projected) == same
        assert bool(contrast.queues.pushed.sum()) == trains


def test_u2pl_s_contrast_moves_the_student_by_what_the_teacher_sees(build, tiny_cfg, method_batch):
    model = build("U2PL")
    losses_of(model, method_batch(tiny_cfg))
    model.after_step(5)
    loss = losses_of(model, method_batch(tiny_cfg, seed=1), 6)["loss_contrast_local"]
    assert loss > 0
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, trained.values(), allow_unused=True)
    reached = {name for name, g in zip(trained, found, strict=True) if g is not None}
    assert any("contrasts.local.head" in name for name in reached)
    assert any("local.head.up2" in name for name in reached)
    assert not any("predict" in name for name in reached), "features, not masks"


KEYS = {"DIM": 2, "QUEUE": 8, "ANCHORS": 4, "NEGATIVES": 3, "TEMPERATURE": 0.5}
SHARES = {"ENTROPY_SHARE": 0.5, "ANCHOR_PROBABILITY": 0.3, "LOW_RANK": 0, "HIGH_RANK": 0}


@pytest.fixture
def contrast(tiny_cfg):
    """Of features of 2 channels and 2 classes, which are not projected."""
    keys = tiny_cfg.MODEL.U2PL
    for key, value in {**KEYS, **SHARES}.items():
        keys[key] = value
    found = PixelContrast(keys, 2, 2, 0.0)
    found.head = torch.nn.Identity()
    return found


def rng():
    return torch.Generator().manual_seed(0)


def test_pixel_contrast_by_hand(contrast):
    feature = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).T[None, :, None, :]
    feature.requires_grad_()
    taught = torch.tensor([[0.0, 2.0], [5.0, 5.0], [0.0, 4.0]])
    anchors = torch.tensor([[True, False], [False, False], [False, False]])
    unsure = torch.tensor([[False, False], [False, True], [False, False]])
    cells = Cells(taught, anchors, unsure)
    # The only anchor, (1, 0), is at a right angle to its class, (0, 2); the queue is empty.
    assert contrast(feature, cells, rng(), remember=False).item() == pytest.approx(0, abs=1e-6)
    assert not contrast.queues.waiting
    contrast.queues.features[0, :1] = torch.tensor([3.0, 0.0])
    contrast.queues.pushed[0] = 1
    loss = contrast(feature, cells, rng(), remember=True)
    # Three times the same negative at cosine 1, over 0.5.
    assert loss.item() == pytest.approx(math.log(1 + 3 * math.exp(2)), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, feature)
    assert gradient[0, :, 0, 0].abs().sum() > 0 and gradient[0, :, 0, 1:].abs().sum() == 0
    contrast.after_step(0)
    assert contrast.queues.pushed.tolist() == [1, 1]
    assert contrast.queues.features[1, 0].tolist() == [5.0, 5.0]


def test_pixel_contrast_without_anchors_is_zero_with_a_gradient(contrast):
    feature = torch.ones(1, 2, 1, 3, requires_grad=True)
    none = torch.zeros(3, 2, dtype=torch.bool)
    loss = contrast(feature, Cells(torch.ones(3, 2), none, none), rng(), remember=False)
    loss.backward()
    assert loss.item() == 0 and feature.grad.abs().sum() == 0


def test_who_takes_part_in_the_contrast(contrast):
    """A labelled image, then an unlabelled one, of four cells each."""
    of_class_0 = torch.tensor([0.9, 0.9, 0.2, 0.9, 0.99, 0.6, 0.02, 0.9])
    probs = torch.stack([of_class_0, 1 - of_class_0], dim=1).view(2, 4, 2)
    logits = probs.log().movedim(2, 1)[:, :, None]
    label = torch.tensor([[0, 1, 0, -1], [0, 0, 1, -1]]).view(2, 1, 1, 4).float()
    feature = torch.arange(16.0).view(2, 2, 1, 4)
    found = contrast.cells(feature, logits, label, 1, 0.0)
    assert found.features.tolist() == [[n, n + 4] for n in (0, 1, 2, 3, 8, 9, 10, 11)]
    # Labelled: the first is of its class, the second too improbable, so the third, the fourth
    # unknown. Unlabelled: half of three are sure, those of 0.99 and 0.98.
    assert found.anchors.int().tolist() == [
        *([1, 0], [0, 0], [0, 0], [0, 0]),
        *([1, 0], [0, 0], [0, 1], [0, 0]),
    ]
    # Labelled: taken for another class than their own are the second and the third. Unlabelled:
    # the less sure half, 0.6 and 0.98, are surely not of their less probable class.
    assert found.negatives.int().tolist() == [
        *([0, 0], [1, 0], [0, 1], [0, 0]),
        *([0, 0], [0, 1], [1, 0], [0, 0]),
    ]
    late = contrast.cells(feature, logits, label, 1, 0.999)
    assert late.anchors[4:].sum() == 1 and late.negatives[4:].sum() == 1
