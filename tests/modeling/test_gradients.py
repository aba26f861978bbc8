"""Who gets a gradient: every trained parameter, no frozen one, the student, not the teacher."""

import pytest
import torch

from co2s.d2 import EventStorage, build_model


def step(cfg, batch, iteration=5):
    torch.manual_seed(0)
    model = build_model(cfg).train()
    with EventStorage(iteration):
        losses = model(batch)
    return model, losses


@pytest.mark.parametrize("trained", [["attn"], [""]])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_every_trained_parameter_gets_some_and_no_frozen_one_any(
    tiny_cfg, method_batch, eager, any_method, trained, ema
):
    tiny_cfg.MODEL.META_ARCHITECTURE, tiny_cfg.MODEL.EMA_DECAY = any_method, ema
    eager(tiny_cfg)
    tiny_cfg.MODEL.GLOBAL.BACKBONE.TRAINABLE = tiny_cfg.MODEL.LOCAL.BACKBONE.TRAINABLE = trained
    model, losses = step(tiny_cfg, method_batch(tiny_cfg))
    model.after_step(5)  # what a method remembers is there in the second step
    with EventStorage(6):
        losses = model(method_batch(tiny_cfg, seed=1))
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        averaged = name.startswith("teachers.") or ".average." in name
        wanted = not averaged and (".backbone." not in name or trained[0] in name)
        assert parameter.requires_grad == wanted, name
        if not parameter.requires_grad:
            assert parameter.grad is None, name
        else:
            # The last bias is one number for all classes, which softmax cannot see.
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0 or name.endswith("head.predict.bias"), name


def test_the_first_steps_give_every_trained_parameter_a_gradient_too(
    tiny_cfg, method_batch, any_method
):
    """DistributedDataParallel waits for all of them, also while a method warms up."""
    tiny_cfg.MODEL.META_ARCHITECTURE = any_method
    tiny_cfg.MODEL.U2PL.WARMUP = 10
    model, losses = step(tiny_cfg, method_batch(tiny_cfg), iteration=0)
    sum(losses.values()).backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


def test_prototypes_are_frozen_and_queries_trained(tiny_cfg):
    model = build_model(tiny_cfg)
    assert not list(model.students["global"].guidance.parameters())
    assert model.students["local"].guidance.queries.requires_grad
    assert "students.global.guidance.prototypes" in model.state_dict()


def test_stability_moves_each_student_through_its_own_loss_only(tiny_cfg, random_batch):
    tiny_cfg.MODEL.CO2S.THRESHOLD = 0.0
    model, losses = step(tiny_cfg, random_batch())
    for me, other in (("global", "local"), ("local", "global")):
        loss = losses[f"loss_stability_{me}"]
        own = [p for p in model.students[me].parameters() if p.requires_grad]
        others = [p for p in model.students[other].parameters() if p.requires_grad]
        grads = torch.autograd.grad(loss, own + others, retain_graph=True, allow_unused=True)
        assert all(g is not None for g in grads[: len(own)]), f"{me} learns from its loss"
        assert all(g is None for g in grads[len(own) :]), f"{other} is the teacher there"


def test_stability_without_gradient_as_in_the_release(tiny_cfg, random_batch):
    tiny_cfg.MODEL.CO2S.THRESHOLD = 0.0
    tiny_cfg.MODEL.CO2S.STABILITY_GRADIENT = False
    _, losses = step(tiny_cfg, random_batch())
    assert losses["loss_stability_global"] > 0
    assert not losses["loss_stability_global"].requires_grad


def test_without_its_gradient_co2s_is_unimatch(tiny_cfg, random_batch):
    """The loss as released moves nothing: the gradients of all parameters are UniMatch's."""
    tiny_cfg.MODEL.CO2S.THRESHOLD = tiny_cfg.MODEL.UNIMATCH.THRESHOLD = 0.0
    tiny_cfg.MODEL.CO2S.STABILITY_GRADIENT = False
    found = {}
    for method in ("Co2S", "UniMatch"):
        tiny_cfg.MODEL.META_ARCHITECTURE = method
        torch.manual_seed(0)
        model, losses = step(tiny_cfg, random_batch())
        sum(losses.values()).backward()
        found[method] = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert found["Co2S"].keys() == found["UniMatch"].keys()
    for name, gradient in found["Co2S"].items():
        assert torch.equal(gradient, found["UniMatch"][name]), name


def test_stability_ramp_follows_the_step(tiny_cfg, random_batch):
    tiny_cfg.MODEL.CO2S.THRESHOLD = 0.0
    values = [step(tiny_cfg, random_batch(), i)[1]["loss_stability_local"] for i in (0, 1, 2, 9)]
    assert values[0] == 0
    torch.testing.assert_close(values[1] * 2, values[2])
    torch.testing.assert_close(values[2], values[3])


def test_a_crop_without_labels_or_real_pixels_gives_zeros_not_nan(
    tiny_cfg, method_batch, eager, any_method
):
    tiny_cfg.MODEL.META_ARCHITECTURE = any_method
    eager(tiny_cfg)
    batch = method_batch(tiny_cfg)
    for item in batch["labeled"]:
        item["sem_seg"][:] = 255
    for item in batch["unlabeled"]:
        item["valid"][:] = item["partner"]["valid"][:] = False
    _, losses = step(tiny_cfg, batch)
    assert {loss.item() for loss in losses.values()} == {0.0}
