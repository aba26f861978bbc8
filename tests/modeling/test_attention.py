"""The weights that are drawn are those that the backbone uses, for every kind of backbone."""

import numpy as np
import pytest
import torch
from timm.layers import apply_rot_embed_cat

from co2s.evaluation.attention import columns_of
from co2s.modeling.backbone import build_backbone
from co2s.modeling.backbone.attention import attention_modules, attention_of
from co2s.modeling.backbone.clip_vit import value_path

HEADS = 2
# Name of the backbone, its model, tokens before the patches.
KINDS = {
    "clip": ("CLIPViT", "ViT-B-16-quickgelu", 1),
    "dinov3": ("TimmViT", "vit_base_patch16_dinov3", 5),
    "plain": ("TimmViT", "vit_base_patch16_224", 1),
    "beit": ("BeitViT", "beitv2_base_patch16_224", 1),
}


@pytest.fixture
def backbone(tiny_cfg, request):
    return build(tiny_cfg, request.param)


def build(cfg, kind):
    torch.manual_seed(0)
    node = cfg.MODEL.GLOBAL if kind == "clip" else cfg.MODEL.LOCAL
    node.BACKBONE.NAME, node.BACKBONE.MODEL, _ = KINDS[kind]
    node.BACKBONE.DEPTH, node.BACKBONE.FEATURES, node.BACKBONE.IMAGE_SIZE = 3, [0, 1, 2], 32
    backbone = build_backbone(node).eval()
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            # Fresh weights attend to all tokens alike, and fresh tables and biases are zero.
            parameter.add_(0.3 * torch.randn_like(parameter) * ("attn" in name))
    return backbone


def record(backbone, images):
    """The input and the output of every attention module that the backbone runs."""
    calls = []
    hooks = [
        module.register_forward_hook(lambda m, args, out: calls.append((args[0], out)))
        for module in attention_modules(backbone)
    ]
    with torch.no_grad():
        backbone(images)
    for hook in hooks:
        hook.remove()
    return calls


def mix(module, weights, x):
    """Attention weights (B, heads, L, L) on the values of tokens (B, L, C), projected."""
    if hasattr(module, "in_proj_weight"):
        values = x @ module.in_proj_weight[64:].T + module.in_proj_bias[64:]
        project = module.out_proj
    else:
        values = x @ module.qkv.weight[64:].T
        bias = getattr(module, "v_bias", None)
        bias = module.qkv.bias[64:] if module.qkv.bias is not None else bias
        values = values if bias is None else values + bias
        project = module.proj
    values = values.unflatten(2, (HEADS, -1)).transpose(1, 2)
    return project((weights @ values).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("backbone", KINDS, indirect=True)
@pytest.mark.parametrize("size", [(32, 32), (20, 40)])
def test_weights_reproduce_the_module_s_output(backbone, size):
    images = torch.randn(2, 3, *size)
    modules, calls = attention_modules(backbone), record(backbone, images)
    assert len(modules) == 3 and len(calls) >= 2
    for layer, (x, out) in enumerate(calls):
        weights = attention_of(backbone, images, layer).weights
        assert weights.shape == (2, HEADS, x.shape[1], x.shape[1])
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert weights.std() > 0.01, "uniform attention would prove little"
        out = out[0] if isinstance(out, tuple) else out
        mixed = mix(modules[layer], weights, x)
        torch.testing.assert_close(mixed, out, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("unfused", [False, True])
def test_dinov3_weights_written_out(tiny_cfg, unfused):
    backbone, images = build(tiny_cfg, "dinov3"), torch.randn(1, 3, 32, 24)
    module, x = backbone.vit.blocks[1].attn, record(backbone, images)[1][0]
    module.fused_attn = not unfused
    rope = backbone.vit.rope.get_embed(shape=(4, 3))
    q, k = (
        (x @ module.qkv.weight[i * 32 : (i + 1) * 32].T).unflatten(2, (HEADS, 16)).transpose(1, 2)
        for i in (0, 1)
    )
    half = module.rotate_half
    q, k = (
        torch.cat([t[:, :, :5], apply_rot_embed_cat(t[:, :, 5:], rope, half=half)], 2)
        for t in (q, k)
    )
    expected = (q @ k.transpose(2, 3) / 16**0.5).softmax(-1)
    found = attention_of(backbone, images, 1).weights
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_clip_s_last_layer_is_computed_though_its_student_skips_it(tiny_cfg):
    backbone, images = build(tiny_cfg, "clip"), torch.randn(1, 3, 32, 32)
    blocks = backbone.visual.transformer.resblocks
    attention, x = attention_of(backbone, images), {}
    assert (attention.layer, attention.layers, attention.used) == (2, 3, False)
    assert attention_of(backbone, images, 1).used
    blocks[1].register_forward_hook(lambda m, args, out: x.update(tokens=out))
    dense = backbone(images)["dense"]
    x = x["tokens"]
    # The dense map comes from these tokens: they are the last layer's input.
    v = backbone.visual
    patches = torch.nn.functional.normalize(
        v.ln_post(value_path(blocks[2], x[:, 1:])) @ v.proj, dim=-1
    )
    torch.testing.assert_close(dense.flatten(2).transpose(1, 2), patches, atol=1e-5, rtol=1e-5)
    weight, bias = blocks[2].attn.in_proj_weight, blocks[2].attn.in_proj_bias
    q, k, _ = (blocks[2].ln_1(x) @ weight.T + bias).chunk(3, dim=2)
    q, k = (t.unflatten(2, (HEADS, 16)).transpose(1, 2) for t in (q, k))
    expected = (q @ k.transpose(2, 3) / 4).softmax(-1)
    torch.testing.assert_close(attention.weights, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_patches_and_class_token(tiny_cfg, kind):
    attention = attention_of(build(tiny_cfg, kind), torch.randn(1, 3, 20, 40))
    prefix = KINDS[kind][2]
    assert attention.grid == (3, 5) and attention.prefix == prefix and attention.has_class_token
    rows = attention.weights[..., prefix:].unflatten(-1, (3, 5))
    assert torch.equal(attention.to_patches(), rows[:, :, 0])
    assert torch.equal(attention.to_patches((1, 4)), rows[:, :, prefix + 1 * 5 + 4])
    for patch in ((3, 0), (0, 5), (-1, 0)):
        with pytest.raises(ValueError, match=r"no patch.*3 x 5.*\(2, 4\)"):
            attention.to_patches(patch)


def test_a_backbone_without_a_class_token_says_so(tiny_cfg):
    KINDS_WITHOUT = ("TimmViT", "vit_base_patch16_siglip_gap_224")
    node = tiny_cfg.MODEL.LOCAL
    node.BACKBONE.NAME, node.BACKBONE.MODEL = KINDS_WITHOUT
    attention = attention_of(build_backbone(node).eval(), torch.randn(1, 3, 32, 32))
    assert attention.prefix == 0
    assert attention.to_patches((0, 0)).shape == (1, HEADS, 4, 4)
    with pytest.raises(ValueError, match="no class token"):
        attention.to_patches()


@pytest.mark.parametrize("kind", ["clip", "dinov3"])
def test_unknown_layers_and_layers_that_are_not_run(tiny_cfg, kind):
    backbone, images = build(tiny_cfg, kind), torch.randn(1, 3, 16, 16)
    for layer in (3, -4):
        with pytest.raises(ValueError, match=f"no layer {layer}.*0 to 2"):
            attention_of(backbone, images, layer)
    assert attention_of(backbone, images, -3).layer == 0
    if kind == "dinov3":
        backbone.features["dense"] = 1
        assert attention_of(backbone, images).layers == 2


def test_no_hook_is_left_behind(tiny_cfg):
    backbone = build(tiny_cfg, "clip")
    with pytest.raises(ValueError):
        attention_of(backbone, torch.randn(1, 3, 16, 16), 99)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in backbone.modules())


def test_columns_leave_few_places_empty():
    counts = {4: 4, 5: 5, 7: 4, 9: 3, 15: 5, 19: 5, 27: 3}
    assert {count: columns_of(count) for count in counts} == counts
    assert all(-n % columns_of(n) <= min(-n % c for c in range(3, 7)) for n in np.arange(6, 40))
