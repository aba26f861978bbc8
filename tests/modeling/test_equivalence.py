"""The model equals the plain version of it in `oracle.py`: values and gradients, to 1e-5."""

import pytest
import torch

from co2s.d2 import EventStorage, build_model

from . import oracle

TAU = 0.19  # a random model of 6 classes is about 1/6 sure everywhere


@pytest.fixture
def model(tiny_cfg):
    torch.manual_seed(1)
    tiny_cfg.MODEL.CO2S.THRESHOLD = TAU
    model = build_model(tiny_cfg).train()
    for student in model.students.values():
        # A fresh head hardly tells classes apart; without this most masks would be empty.
        student.head.predict.weight.data *= 6
    return model


@pytest.mark.parametrize("name", ["global", "local"])
@pytest.mark.parametrize("size", [(32, 32), (40, 56)])
def test_head(model, name, size):
    student = model.students[name]
    image = torch.rand(2, 3, *size) * 255
    maps = {k: v.detach().requires_grad_() for k, v in student.features(image).items()}
    guidance = student.guidance()
    inputs = [*maps.values(), *student.head.parameters()]
    ours, plain = student.head(maps, guidance), oracle.head(student.head, maps, guidance)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
    centred = [x - x.mean(1, keepdim=True) for x in (ours, plain)]
    torch.testing.assert_close(*centred, atol=1e-5, rtol=1e-5)
    weight = torch.randn_like(ours)
    grads = [torch.autograd.grad((x * weight).mean(), inputs) for x in (ours, plain)]
    for ours_grad, plain_grad in zip(*grads, strict=True):
        torch.testing.assert_close(ours_grad, plain_grad, atol=1e-5, rtol=1e-4)


def test_training_step(model, random_batch):
    batch = random_batch(batch=2, size=16, seed=3)
    with EventStorage(2):  # step 2 of 10 ends the ramp of 20 %
        ours = model(batch)
    plain = oracle.step(model, batch, TAU, ramp=0.5)
    assert ours.keys() == plain.keys()
    for key in ours:
        assert ours[key] > 0, f"{key}: an empty term proves nothing"
        torch.testing.assert_close(ours[key], plain[key], atol=1e-5, rtol=1e-5, msg=key)
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    grads = [torch.autograd.grad(sum(x.values()), named.values()) for x in (ours, plain)]
    for name, a, b in zip(named, *grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3, msg=name)
