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


@pytest.mark.parametrize("method", ["Co2S", "OnlySup", "FixMatch", "UniMatch"])
@pytest.mark.parametrize("trained", [["attn"], [""]])
def test_every_trained_parameter_gets_some_and_no_frozen_one_any(
    tiny_cfg, random_batch, method, trained
):
    tiny_cfg.MODEL.META_ARCHITECTURE = method
    for key in ("CO2S", "FIXMATCH", "UNIMATCH"):
        tiny_cfg.MODEL[key].THRESHOLD = 0.0
    tiny_cfg.MODEL.GLOBAL.BACKBONE.TRAINABLE = tiny_cfg.MODEL.LOCAL.BACKBONE.TRAINABLE = trained
    model, losses = step(tiny_cfg, random_batch(views=1 if method == "FixMatch" else 2))
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        part_of_backbone = ".backbone." in name
        assert parameter.requires_grad == (not part_of_backbone or trained[0] in name), name
        if not parameter.requires_grad:
            assert parameter.grad is None, name
        else:
            # The last bias is one number for all classes, which softmax cannot see.
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0 or name.endswith("head.predict.bias"), name


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


def test_stability_ramp_follows_the_step(tiny_cfg, random_batch):
    tiny_cfg.MODEL.CO2S.THRESHOLD = 0.0
    values = [step(tiny_cfg, random_batch(), i)[1]["loss_stability_local"] for i in (0, 1, 2, 9)]
    assert values[0] == 0
    torch.testing.assert_close(values[1] * 2, values[2])
    torch.testing.assert_close(values[2], values[3])


def test_a_crop_without_labels_or_real_pixels_gives_zeros_not_nan(tiny_cfg, random_batch):
    batch = random_batch()
    for item in batch["labeled"]:
        item["sem_seg"][:] = 255
    for item in batch["unlabeled"]:
        item["valid"][:] = item["partner"]["valid"][:] = False
    _, losses = step(tiny_cfg, batch)
    assert {float(loss) for loss in losses.values()} == {0.0}
