"""Logits lie where the image's pixels are, whatever the size and the patches."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from co2s.d2 import Backbone
from co2s.modeling import Student
from co2s.modeling.backbone.features import pad_to_multiple, padded_size
from co2s.modeling.guidance import NoGuidance


class PatchMeans(Backbone):
    """The mean of every patch, of inputs that are padded as the real backbones pad them."""

    def __init__(self, patch):
        super().__init__()
        self.patch = patch

    @property
    def size_divisibility(self):
        return self.patch

    def forward(self, images):
        return {"dense": F.avg_pool2d(pad_to_multiple(images, self.patch), self.patch)}


class IdealHead(nn.Module):
    """The sign of every patch, at a quarter of the size: class 0 below zero, class 1 above."""

    def forward(self, maps, guidance):
        signs = maps["dense"][:, :1].sign().repeat_interleave(4, 2).repeat_interleave(4, 3)
        return torch.cat([-signs, signs], 1)


def student(patch, **options):
    options |= {"pixel_mean": [100.0] * 3, "pixel_std": [1.0] * 3}
    return Student(backbone=PatchMeans(patch), guidance=NoGuidance(), head=IdealHead(), **options)


def predicted_edge(model, edge, size, axis):
    """How far the first class reaches for an image that is dark up to `edge` along an axis."""
    image = torch.full((1, 3, *size), 200.0)
    image.narrow(axis + 2, 0, edge).zero_()
    logits = model(image)
    assert logits.shape == (1, 2, *size)
    dark = logits.argmax(1)[0] == 0
    lengths = dark.sum(axis).unique().tolist()
    assert len(lengths) == 1, "the edge is straight"
    return lengths[0]


@pytest.mark.parametrize("axis", [0, 1])
def test_an_edge_at_80_of_100_pixels_is_predicted_there(axis):
    assert predicted_edge(student(16), 80, (100, 100), axis) == 80


@pytest.mark.parametrize("size", [(518, 518), (500, 530), (448, 672)])
def test_students_of_different_patches_agree_on_the_place(size):
    found = [predicted_edge(student(patch), 448, size, 1) for patch in (14, 16)]
    assert found == [448, 448]


def test_the_releases_way_is_kept_behind_its_switch():
    """It squeezes the padded map onto the image: 80 of 112 pixels become 71 of 100."""
    assert predicted_edge(student(16, logits_size=224), 80, (100, 100), 1) == 71


def test_maps_without_padding_are_as_they_were():
    torch.manual_seed(0)
    model, logits = student(16), torch.randn(1, 2, 28, 20)
    model.head.forward = lambda maps, guidance: logits
    expected = F.interpolate(logits, (112, 80), mode="bilinear", align_corners=False)
    assert torch.equal(model.decode({}, (112, 80)), expected)


def test_padded_sizes():
    assert padded_size((100, 112), 16) == (112, 112)
    assert padded_size((1, 518), 14) == (14, 518)
    assert padded_size((5, 7), 0) == (5, 7)
    assert pad_to_multiple(torch.ones(1, 3, 25, 32), 8).shape == (1, 3, 32, 32)
