"""A small trained-looking model for the tests of tools/export.py, and what it carries."""

import torch

from co2s.config import get_co2s_cfg
from co2s.d2 import build_model
from co2s.data.carried import Carried, CarriedClass

NAMES = ("water", "forest", "field", "road", "roof", "sand")
CLASSES = tuple(CarriedClass(name, (40 * i, 250 - 40 * i, 9)) for i, name in enumerate(NAMES))
CARRIED = Carried("toy land", CLASSES, resolution=0.5, size=(48, 64))


def one_student():
    """The local student alone, a plain ViT with the smallest head: it is exported in seconds."""
    cfg = get_co2s_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.STUDENTS = "OnlySup", ("local",)
    cfg.MODEL.NUM_CLASSES, cfg.INPUT.CROP_SIZE = 6, 32
    backbone = cfg.MODEL.LOCAL.BACKBONE
    backbone.MODEL, backbone.IMAGE_SIZE, backbone.PATCH_SIZE = "vit_tiny_patch16_224", 32, 8
    backbone.WIDTH, backbone.DEPTH, backbone.HEADS, backbone.FEATURES = 32, 2, 2, [0, 0, 1]
    cfg.MODEL.LOCAL.HEAD.NAME, cfg.MODEL.LOCAL.GUIDANCE.NAME = "LinearHead", "NoGuidance"
    return cfg


def grown(cfg):
    """A model whose weights, averages and temperatures are none of their beginnings, and which
    has an opinion: every class is somewhere the best."""
    torch.manual_seed(3)
    model = build_model(cfg).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        for predictor in model.predictors.values():
            for name, parameter in predictor.named_parameters():
                if name.endswith("head.predict.weight"):
                    parameter.mul_(20.0)
    model.temperatures.set(
        {name: 1.3 + 0.4 * i for i, name in enumerate(model.temperatures.values())}
    )
    return model


def images(count=2, bands=3, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, bands, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    noise = torch.rand(count, bands, side, side, generator=generator)
    return (smooth * 200 + noise * 55).byte()
