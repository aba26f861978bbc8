"""The linear head: one product with the dense map, and which guidance goes with it."""

import pytest
import torch

from co2s.d2 import EventStorage, build_model
from co2s.modeling import build_student


@pytest.fixture
def cfg(tiny_cfg):
    for node in (tiny_cfg.MODEL.GLOBAL, tiny_cfg.MODEL.LOCAL):
        node.HEAD.NAME, node.GUIDANCE.NAME = "LinearHead", "NoGuidance"
    return tiny_cfg


@pytest.mark.parametrize("name", ["GLOBAL", "LOCAL"])
def test_written_out(cfg, name):
    student = build_student(cfg, cfg.MODEL[name])
    maps = student.features(255 * torch.rand(2, 3, 24, 40))
    weight, bias = torch.randn(6, maps["dense"].shape[1]), torch.randn(6)
    student.head.fill(weight, bias)
    expected = torch.einsum("nc,bchw->bnhw", weight, maps["dense"]) + bias[:, None, None]
    found = student.head(maps, student.guidance())
    assert found.shape == (2, 6, 3, 5)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["Co2S", "OnlySup"])
def test_it_trains_like_any_head(cfg, random_batch, method):
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.CO2S.THRESHOLD = method, 0.0
    model = build_model(cfg).train()
    with EventStorage(5):
        losses = model(random_batch())
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_class_vectors_are_refused(cfg):
    cfg.MODEL.LOCAL.GUIDANCE.NAME = "LearnableQueries"
    with pytest.raises(ValueError, match=r"HEAD\.NAME 'LinearHead' reads no class vectors"):
        build_model(cfg)
