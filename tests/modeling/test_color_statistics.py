"""Colour statistics of patches, by hand; what a backbone without parameters has to put up with."""

import pytest
import torch

from co2s.d2 import build_model
from co2s.modeling import build_student
from co2s.modeling.backbone import build_backbone, patch_size

MAPS = ("skip_shallow", "skip_deep", "dense")


@pytest.fixture
def node(tiny_cfg):
    node = tiny_cfg.MODEL.LOCAL
    node.BACKBONE.NAME, node.BACKBONE.PATCH_SIZE = "ColorStatistics", 2
    node.HEAD.NAME, node.GUIDANCE.NAME = "LinearHead", "NoGuidance"
    return node


def test_means_then_deviations_of_the_pixels_that_are_there(node):
    band = torch.tensor([[1.0, 5.0, 10.0], [1.0, 5.0, 12.0], [5.0, 7.0, -4.0]])
    image = torch.stack([band, band + 100, 0 * band])[None]
    maps = build_backbone(node)(image)
    means = torch.tensor([[3.0, 11.0], [6.0, -4.0]])
    deviations = torch.tensor([[2.0, 1.0], [1.0, 0.0]])
    none = torch.zeros(2, 2)
    expected = torch.stack([means, means + 100, none, deviations, deviations, none])
    for name in MAPS:
        torch.testing.assert_close(maps[name][0], expected)


def test_patches_have_16_pixels_unless_told_otherwise(node):
    assert patch_size(node) == 2
    node.BACKBONE.PATCH_SIZE = 0
    assert patch_size(node) == build_backbone(node).size_divisibility == 16


@pytest.mark.parametrize("bands", [3, 4, 7])
def test_any_number_of_bands(tiny_cfg, node, bands, log):
    tiny_cfg.MODEL.NUM_BANDS = bands
    student = build_student(tiny_cfg, node)
    shape = student.backbone.output_shape()["dense"]
    assert (shape.channels, shape.stride) == (2 * bands, 2)
    image = 255 * torch.rand(2, bands, 5, 4)
    dense = student.features(image)["dense"]
    assert dense.shape == (2, 2 * bands, 3, 2)
    pixels = student.normalize(image)[:, :, :2, :2].flatten(2)
    expected = torch.cat([pixels.mean(2), pixels.std(2, unbiased=False)], dim=1)
    torch.testing.assert_close(dense[:, :, 0, 0], expected)
    assert "patch embedding" not in log.text
    assert student(image).shape == (2, 6, 5, 4)


def test_there_is_nothing_to_train_and_nothing_to_load(node):
    node.BACKBONE.TRAINABLE = [""]
    backbone = build_backbone(node)
    assert not [*backbone.parameters()] and not backbone.state_dict()
    node.BACKBONE.WEIGHTS = "some.pth"
    with pytest.raises(ValueError, match=r"no parameters, and BACKBONE\.WEIGHTS is 'some\.pth'"):
        build_backbone(node)


def test_only_the_head_learns(tiny_cfg, node, random_batch):
    tiny_cfg.MODEL.META_ARCHITECTURE, tiny_cfg.MODEL.STUDENTS = "OnlySup", ("local",)
    model = build_model(tiny_cfg).train()
    sum(model(random_batch()).values()).backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        "students.local.head.predict.weight",
        "students.local.head.predict.bias",
    }
