"""The real shapes: ViT-B/16 of CLIP and DINOv3, from files, against open_clip's and timm's own."""

import numpy as np
import open_clip
import pytest
import timm
import torch

from co2s.config import get_co2s_cfg
from co2s.d2 import build_model

from .formats import Scripted, meta_dinov3, openai_names

CLIP, DINOV3 = "ViT-B-16-quickgelu", "vit_base_patch16_dinov3_qkvb"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(the model built from an OpenAI and a Meta file, open_clip's tower, timm's ViT)."""
    folder = tmp_path_factory.mktemp("vit_b")
    torch.manual_seed(0)
    visual = open_clip.create_model(CLIP, pretrained=None).visual.eval()
    vit = timm.create_model(DINOV3, num_classes=0).eval()
    with torch.no_grad():
        for name, parameter in vit.named_parameters():
            if name.endswith(("_bias", "reg_token", "gamma_1", "gamma_2")):
                parameter.normal_(0.2, 0.2)  # timm starts them at or near zero
    archive = torch.jit.trace(Scripted(openai_names(visual)), torch.ones(1))
    torch.jit.save(archive, folder / "ViT-B-16.pt")
    torch.save(meta_dinov3(vit), folder / "dinov3_vitb16.pth")
    cfg = get_co2s_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.NUM_CLASSES = 6
    np.save(folder / "text.npy", np.eye(6, 512, dtype=np.float32))
    cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = str(folder / "text.npy")
    cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = str(folder / "ViT-B-16.pt")
    cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = str(folder / "dinov3_vitb16.pth")
    return build_model(cfg).eval(), visual, vit


def test_every_backbone_tensor_of_the_built_model_is_its_file_s(pair):
    model, visual, vit = pair
    ours = model.students["global"].backbone.visual, model.students["local"].backbone.vit
    for found, written in zip(ours, (visual, vit), strict=True):
        found, written = found.state_dict(), written.state_dict()
        assert found.keys() == written.keys() and len(found) > 150
        assert all(torch.equal(found[name], written[name]) for name in found)


@torch.no_grad()
@pytest.mark.parametrize("size", [(224, 224), (96, 160)])
def test_clip_stream_and_class_token_equal_open_clip(pair, size):
    model, visual, _ = pair
    backbone, image = model.students["global"].backbone, torch.randn(1, 3, *size)
    ours = stream(backbone.visual, lambda: backbone(image))
    x = visual.transformer.resblocks[-1]
    last = backbone.visual.transformer.resblocks[-1](ours[-1])
    pooled = backbone.visual.ln_post(last)[:, 0] @ backbone.visual.proj
    if size == (224, 224):
        theirs = stream(visual, lambda: visual(image))[: len(ours)]
        for mine, own in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, own, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(pooled, visual(image), atol=1e-5, rtol=1e-5)
    assert type(x.mlp.gelu).__name__ == "QuickGELU"
    assert ours[-1].shape == (1, 1 + size[0] * size[1] // 256, 768) and len(ours) == 11


def stream(visual, run):
    """The outputs of the transformer's layers while `run` runs."""
    outputs, hooks = [], []
    for block in visual.transformer.resblocks:
        hooks.append(block.register_forward_hook(lambda m, args, output: outputs.append(output)))
    run()
    for hook in hooks:
        hook.remove()
    return outputs


@torch.no_grad()
@pytest.mark.parametrize("size", [(224, 224), (96, 160)])
def test_dinov3_features_equal_timm(pair, size):
    model, _, vit = pair
    image = torch.randn(1, 3, *size)
    theirs = vit.forward_intermediates(
        image, indices=[2, 7, 11], norm=True, intermediates_only=True
    )
    maps = model.students["local"].backbone(image)
    for name, expected in zip(("skip_shallow", "skip_deep", "dense"), theirs, strict=True):
        assert maps[name].shape == (1, 768, size[0] // 16, size[1] // 16)
        torch.testing.assert_close(maps[name], expected, atol=1e-5, rtol=1e-5)
