"""One contract for every registered backbone, and the value path against a direct computation."""

import pytest
import torch
import torch.nn.functional as F

from co2s.modeling.backbone import build_backbone
from co2s.modeling.backbone.clip_vit import resize_positions

STUDENTS = ["GLOBAL", "LOCAL"]
EVERY = [*STUDENTS, "COLOR"]


def build(cfg, student):
    torch.manual_seed(0)
    if student == "COLOR":
        student = "LOCAL"
        cfg.MODEL.LOCAL.BACKBONE.NAME = "ColorStatistics"
    return build_backbone(cfg.MODEL[student]).eval()


@pytest.mark.parametrize("student", EVERY)
@pytest.mark.parametrize("size", [(32, 32), (24, 40), (25, 30)])
def test_maps_are_what_output_shape_says(tiny_cfg, student, size):
    backbone = build(tiny_cfg, student)
    maps = backbone(torch.randn(2, 3, *size))
    shapes = backbone.output_shape()
    assert maps.keys() == shapes.keys() == {"dense", "skip_deep", "skip_shallow"}
    for name, x in maps.items():
        stride = shapes[name].stride
        grid = (-(-size[0] // stride), -(-size[1] // stride))
        assert x.shape == (2, shapes[name].channels, *grid)
        assert stride == backbone.size_divisibility


@pytest.mark.parametrize("student", EVERY)
def test_no_image_sees_another(tiny_cfg, student):
    backbone = build(tiny_cfg, student)
    images = torch.randn(3, 3, 32, 32)
    together, alone = backbone(images), backbone(images[1:2])
    for name in together:
        torch.testing.assert_close(together[name][1:2], alone[name], atol=1e-5, rtol=1e-5)


def test_clip_dense_map_written_out(tiny_cfg):
    backbone = build(tiny_cfg, "GLOBAL")
    v, image = backbone.visual, torch.randn(1, 3, 32, 32)
    x = F.conv2d(image, v.conv1.weight, stride=8)[0].flatten(1).T
    x = v.ln_pre(torch.cat([v.class_embedding[None], x]) + v.positional_embedding)
    x = v.transformer.resblocks[0](x[None])[0]
    block = v.transformer.resblocks[1]
    weight, bias = block.attn.in_proj_weight[64:], block.attn.in_proj_bias[64:]
    x = x + block.attn.out_proj(block.ln_1(x) @ weight.T + bias)
    x = x + block.mlp(block.ln_2(x))
    x = v.ln_post(x) @ v.proj
    x = (x / x.norm(dim=1, keepdim=True))[1:]
    torch.testing.assert_close(backbone(image)["dense"][0].flatten(1).T, x, atol=1e-5, rtol=1e-5)


def test_clip_skips_are_value_paths_of_two_layers_without_the_final_norm(tiny_cfg):
    tiny_cfg.MODEL.GLOBAL.BACKBONE.DEPTH = 4
    tiny_cfg.MODEL.GLOBAL.BACKBONE.FEATURES = [0, 2, 3]
    backbone = build(tiny_cfg, "GLOBAL")
    v, image = backbone.visual, torch.randn(1, 3, 32, 32)
    x = F.conv2d(image, v.conv1.weight, stride=8)[0].flatten(1).T
    x = v.ln_pre(torch.cat([v.class_embedding[None], x]) + v.positional_embedding)
    expected = []
    for block in v.transformer.resblocks:
        weight, bias = block.attn.in_proj_weight[64:], block.attn.in_proj_bias[64:]
        value = x + block.attn.out_proj(block.ln_1(x) @ weight.T + bias)
        expected.append((value + block.mlp(block.ln_2(value)))[1:])
        x = block(x[None])[0]  # the stream itself goes on as it was
    maps = backbone(image)
    for name, tokens in (("skip_shallow", expected[0]), ("skip_deep", expected[2])):
        found = maps[name][0].flatten(1).T
        torch.testing.assert_close(found, tokens, atol=1e-5, rtol=1e-5)


def test_dinov3_maps_are_blocks_after_the_final_norm(tiny_cfg):
    tiny_cfg.MODEL.LOCAL.BACKBONE.DEPTH = 4
    tiny_cfg.MODEL.LOCAL.BACKBONE.FEATURES = [0, 2, 3]
    backbone = build(tiny_cfg, "LOCAL")
    vit, image, outputs = backbone.vit, torch.randn(1, 3, 32, 32), []
    for block in vit.blocks:
        block.register_forward_hook(lambda module, args, output: outputs.append(output))
    vit.forward_features(image)
    expected, maps = [vit.norm(x)[0, vit.num_prefix_tokens :] for x in outputs], backbone(image)
    assert vit.num_prefix_tokens == 5
    for name, i in (("skip_shallow", 0), ("skip_deep", 2), ("dense", 3)):
        found = maps[name][0].flatten(1).T
        torch.testing.assert_close(found, expected[i], atol=1e-5, rtol=1e-5)


def test_positions_keep_the_class_token_and_their_own_grid():
    embedding = torch.randn(1 + 16, 5)
    assert resize_positions(embedding, (4, 4), (4, 4)) is embedding
    resized = resize_positions(embedding, (4, 4), (3, 6))
    assert resized.shape == (1 + 18, 5)
    torch.testing.assert_close(resized[0], embedding[0])


@pytest.mark.parametrize(("student", "word"), [("GLOBAL", "open_clip"), ("LOCAL", "timm")])
def test_unknown_model_name(tiny_cfg, student, word):
    tiny_cfg.MODEL[student].BACKBONE.MODEL = "vit_none"
    with pytest.raises(ValueError, match=f"{word} has no.*vit_none"):
        build_backbone(tiny_cfg.MODEL[student])


@pytest.mark.parametrize("student", STUDENTS)
def test_weights_load_from_a_local_file(tiny_cfg, student, tmp_path):
    node = tiny_cfg.MODEL[student]
    inner = next(build(tiny_cfg, student).children())
    state = {k: v + 1 for k, v in inner.state_dict().items()}
    torch.save(state, tmp_path / "weights.pth")
    node.BACKBONE.WEIGHTS = str(tmp_path / "weights.pth")
    loaded = next(build_backbone(node).children()).state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in state.items())
    node.BACKBONE.WEIGHTS = str(tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        build_backbone(node)
