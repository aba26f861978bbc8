"""Each project's file format loads to the same values, strictly; names that cannot be had."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from co2s.modeling.backbone import build_backbone
from co2s.modeling.backbone.clip_formats import clip_tensors
from co2s.modeling.weights import WeightsError

from .formats import Scripted, meta_dinov3, openai_names, seeded

TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "patch_size": 8}


@pytest.fixture
def student(tiny_cfg):
    """A function (student, model, weights, **other keys) -> the backbone, built and loaded."""

    def build(name, model, weights, **keys):
        node = tiny_cfg.MODEL[name]
        node.BACKBONE.MODEL, node.BACKBONE.WEIGHTS = model, str(weights)
        node.BACKBONE.update(keys)
        return build_backbone(node).eval()

    return build


def equal(module, state):
    own = module.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[k], state[k]) for k in own)


def tiny_clip(student):
    return seeded(student("GLOBAL", "ViT-B-16-quickgelu", "").visual)


@pytest.mark.parametrize("name", ["openai.pt", "state_dict.pt", "ddp.pt", "open_clip.safetensors"])
def test_clip_formats(student, tmp_path, name):
    visual, path = tiny_clip(student), tmp_path / name
    state = openai_names(visual)
    constants = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(7)}
    if name == "openai.pt":
        half = {k: v.half().float().half() for k, v in state.items()}
        visual.load_state_dict({k[7:]: v for k, v in half.items() if k.startswith("visual.")})
        torch.jit.save(torch.jit.trace(Scripted(half | constants), torch.ones(1)), path)
    elif name == "state_dict.pt":
        torch.save(state | constants, path)
    elif name == "ddp.pt":
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    else:
        save_file(state, path)
    loaded = student("GLOBAL", "ViT-B-16-quickgelu", path)
    assert equal(loaded.visual, visual.state_dict())
    tensors = clip_tensors(path)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert tensors.keys() == state.keys()  # both towers, without OpenAI's constants


def test_the_activation_is_that_of_the_weights(student, tmp_path, monkeypatch):
    torch.jit.save(
        torch.jit.trace(Scripted(openai_names(tiny_clip(student))), torch.ones(1)),
        tmp_path / "x.pt",
    )
    torch.save(openai_names(tiny_clip(student)), tmp_path / "x.pth")

    def activation(model, weights, **keys):
        block = student("GLOBAL", model, weights, **keys).visual.transformer.resblocks[0]
        return type(block.mlp.gelu).__name__

    assert activation("ViT-B-16", tmp_path / "x.pt") == "QuickGELU"  # OpenAI's archive
    assert activation("ViT-B-16", tmp_path / "x.pth") == "GELU"
    assert activation("ViT-B-16-quickgelu", tmp_path / "x.pth") == "QuickGELU"
    assert activation("ViT-B-16", tmp_path / "x.pt", ACTIVATION="gelu") == "GELU"
    find = "co2s.modeling.backbone.clip_vit.find_clip_file"
    monkeypatch.setattr(find, lambda model, weights: tmp_path / "x.pth")
    assert activation("ViT-B-16", "openai", ACTIVATION="") == "QuickGELU"  # the tag says so
    assert activation("ViT-B-16", "laion2b_s34b_b88k") == "GELU"


def tiny_dinov3(model="vit_base_patch16_dinov3_qkvb"):
    vit = timm.create_model(model, num_classes=0, **TINY)
    return seeded(vit, 1)


@pytest.mark.parametrize("name", ["meta.pth", "timm.safetensors", "meta_teacher.pth"])
def test_dinov3_formats(student, tmp_path, name):
    vit, path = tiny_dinov3(), tmp_path / name
    if name == "timm.safetensors":
        save_file(vit.state_dict(), path)
    elif name == "meta.pth":
        torch.save(meta_dinov3(vit), path)
    else:
        torch.save({"teacher": {f"backbone.{k}": v for k, v in meta_dinov3(vit).items()}}, path)
    loaded = student("LOCAL", "vit_base_patch16_dinov3_qkvb", path).vit
    assert equal(loaded, vit.state_dict())
    assert not loaded.blocks[0].attn.k_bias.any()


def test_dinov3_with_and_without_biases(student, tmp_path, log):
    plain = tiny_dinov3("vit_base_patch16_dinov3")
    save_file(plain.state_dict(), tmp_path / "plain.safetensors")
    loaded = student("LOCAL", "vit_base_patch16_dinov3_qkvb", tmp_path / "plain.safetensors").vit
    assert "no query and value biases: 4 of them start at zero" in log.text
    biases = {n: p for n, p in loaded.state_dict().items() if n.endswith("_bias")}
    assert len(biases) == 4 and not any(p.any() for p in biases.values())
    torch.save(meta_dinov3(tiny_dinov3()), tmp_path / "biased.pth")
    with pytest.raises(WeightsError, match=r"qkv.bias is not zero.*_qkvb"):
        student("LOCAL", "vit_base_patch16_dinov3", tmp_path / "biased.pth")


def test_dinov3_of_another_rotation_or_without_its_masks(student, tmp_path):
    state = meta_dinov3(tiny_dinov3())
    torch.save(
        state | {"rope_embed.periods": state["rope_embed.periods"] * 1.1}, tmp_path / "x.pth"
    )
    with pytest.raises(WeightsError, match="RoPE periods"):
        student("LOCAL", "vit_base_patch16_dinov3_qkvb", tmp_path / "x.pth")
    state = {k: v for k, v in state.items() if not k.endswith("bias_mask")}
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="key bias that is not masked"):
        student("LOCAL", "vit_base_patch16_dinov3_qkvb", tmp_path / "x.pth")


@pytest.mark.parametrize("registers", [False, True])
def test_dinov2(student, tmp_path, registers):
    model = "vit_base_patch14_reg4_dinov2" if registers else "vit_base_patch14_dinov2"
    keys = {"WIDTH": 32, "DEPTH": 2, "HEADS": 2, "PATCH_SIZE": 14, "IMAGE_SIZE": 56}
    vit = seeded(student("LOCAL", model, "", **keys).vit)
    state = vit.state_dict() | {"mask_token": torch.ones(1, 32)}
    if registers:  # Meta's positions have a row for the class token, timm's have none
        own = torch.randn(1, 1, 32)
        state["register_tokens"] = state.pop("reg_token")
        state["cls_token"] = state["cls_token"] - own
        state["pos_embed"] = torch.cat([own, state["pos_embed"]], dim=1)
    torch.save(state, tmp_path / "x.pth")
    backbone = student("LOCAL", model, tmp_path / "x.pth", **keys)
    for name, tensor in vit.state_dict().items():
        torch.testing.assert_close(backbone.vit.state_dict()[name], tensor, atol=1e-6, rtol=0)
    assert backbone(torch.randn(1, 3, 70, 100))["dense"].shape == (1, 32, 5, 8)


def test_mae_and_ibot(student, tmp_path, log):
    vit = seeded(student("LOCAL", "vit_base_patch16_224", "", IMAGE_SIZE=32).vit)
    state = vit.state_dict()
    extra = {"mask_token": torch.ones(1), "decoder_embed.weight": torch.ones(2, 2)}
    torch.save({"model": state | extra}, tmp_path / "mae.pth")
    teacher = {f"backbone.{k}": v for k, v in (state | {"masked_embed": torch.ones(1)}).items()}
    teacher["head.mlp.0.weight"] = torch.ones(2, 2)
    other = {f"module.{k}": v + 1 for k, v in teacher.items()}
    torch.save({"student": other, "teacher": teacher, "epoch": 1}, tmp_path / "ibot.pth")
    for name in ("mae.pth", "ibot.pth"):
        loaded = student("LOCAL", "vit_base_patch16_224", tmp_path / name, IMAGE_SIZE=32).vit
        assert equal(loaded, state), name
    assert "1 tensors decoder*" in log.text and "1 tensors masked_embed*" in log.text


@pytest.mark.parametrize("kind", ["simmim", "beitv2", "fine_tuned"])
def test_beit_formats_against_timm(student, tmp_path, kind):
    keys = {"NAME": "BeitViT", "IMAGE_SIZE": 32, "LAYER_SCALE": 0.1}
    model = "beitv2_base_patch16_224"
    own = timm.create_model(
        model, num_classes=0, global_pool="", img_size=32, init_values=0.1, **TINY
    ).eval()
    state = seeded(own).state_dict()
    tables = [k for k in state if k.endswith("bias_table")]
    if kind != "fine_tuned":  # one table for all layers
        for name in tables[1:]:
            state[name].copy_(state[tables[0]])
    stored = {k: v.clone() for k, v in state.items()}
    if kind != "fine_tuned":
        stored["rel_pos_bias.relative_position_bias_table"] = stored[tables[0]]
        for name in tables:
            del stored[name]
        stored["mask_token"] = torch.ones(1, 1, 32)
    if kind == "simmim":
        stored = {f"encoder.{k}": v for k, v in stored.items()} | {"decoder.0.bias": torch.ones(1)}
    elif kind == "fine_tuned":
        stored = {
            k.replace("norm.", "fc_norm.") if k[:5] == "norm." else k: v for k, v in stored.items()
        }
        stored["blocks.0.attn.relative_position_index"] = torch.zeros(17, 17, dtype=torch.int64)
        stored["head.weight"] = torch.ones(5, 32)
    torch.save({"model": stored}, tmp_path / "x.pth")
    backbone = student("LOCAL", model, tmp_path / "x.pth", **keys)
    image = torch.randn(2, 3, 32, 32)
    theirs = own.forward_intermediates(image, indices=[0, 1], norm=True, intermediates_only=True)
    maps = backbone(image)
    for name, expected in zip(("skip_shallow", "dense"), theirs, strict=True):
        torch.testing.assert_close(maps[name], expected, atol=1e-5, rtol=1e-5)
    assert backbone(torch.randn(1, 3, 40, 24))["dense"].shape == (1, 32, 5, 3)
    with pytest.raises(WeightsError, match=r"\(2, 52, 2\) .*the model's \(2, 84, 2\).*IMAGE_SIZE"):
        student("LOCAL", model, tmp_path / "x.pth", **keys | {"IMAGE_SIZE": 40})


def test_relative_positions_of_another_grid_keep_offsets_and_prefix():
    from co2s.modeling.backbone.beit_vit import RelativePositions

    positions = RelativePositions((4, 4), 1, 2)
    rows = torch.arange(-3.0, 4.0).repeat_interleave(7)  # the bias is the vertical offset
    positions.table.data[0, :-3] = rows[:, None]
    positions.table.data[0, -3:] = torch.tensor([[50.0], [60.0], [70.0]])
    bias = positions((8, 3), layers=1)[0, 0, 0].detach()
    assert bias.shape == (25, 25)
    assert bias[0, 0] == 70 and (bias[0, 1:] == 50).all() and (bias[1:, 0] == 60).all()
    column = bias[1:, 1].view(8, 3)
    torch.testing.assert_close(column[:, :1].expand(8, 3), column)  # no horizontal offset
    assert (column[1:, 0] > column[:-1, 0]).all() and column[-1, 0] < 3.5


@pytest.mark.parametrize(
    ("name", "model", "weights", "words"),
    [
        (
            "LOCAL",
            "vit_base_patch16_dinov3_qkvb",
            "lvd1689m",
            "model.safetensors of timm/.*gated: ask Meta.*WEIGHTS.*lvd142m",
        ),
        ("LOCAL", "vit_base_patch14_dinov2", "lvd142m", "give its path as MODEL.*WEIGHTS"),
        ("GLOBAL", "ViT-B-16-quickgelu", "openai", "CLIP weights 'openai'.*give its path as MODEL"),
    ],
)
def test_names_offline_say_how_to_get_the_file(student, monkeypatch, name, model, weights, words):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*_, **__):
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr("co2s.modeling.weights.hub.hf_hub_download", offline)
    with pytest.raises(WeightsError, match=words):
        student(name, model, weights)


def test_unknown_names_list_the_known_ones(student):
    words = r"There are no weights 'openai' for .*; there are .*lvd1689m"
    with pytest.raises(ValueError, match=words):
        student("LOCAL", "vit_base_patch16_dinov3_qkvb", "openai")
    with pytest.raises(ValueError, match=r"There are no weights 'x' for ViT-B-16;.*laion2b"):
        student("GLOBAL", "ViT-B-16", "x")


def test_files_of_another_architecture(student, tmp_path):
    torch.save(openai_names(tiny_clip(student)), tmp_path / "clip.pt")
    with pytest.raises(WeightsError, match=r"clip\.pt' do not fit.*\n.*missing.*\n.*unexpected"):
        student("LOCAL", "vit_base_patch16_dinov3_qkvb", tmp_path / "clip.pt")
    torch.save(tiny_dinov3().state_dict(), tmp_path / "dino.pth")
    with pytest.raises(WeightsError, match=r"dino\.pth' do not fit"):
        student("GLOBAL", "ViT-B-16-quickgelu", tmp_path / "dino.pth")
    with pytest.raises(WeightsError, match="no relative positions"):
        student("LOCAL", "beitv2_base_patch16_224", tmp_path / "dino.pth", NAME="BeitViT")
    with pytest.raises(ValueError, match="resnet50 is no ViT that TimmViT can read"):
        student("LOCAL", "resnet50", "", NAME="TimmViT")


def test_sha256_key(student, tmp_path):
    torch.save(openai_names(tiny_clip(student)), tmp_path / "clip.pt")
    with pytest.raises(WeightsError, match="SHA-256"):
        student("GLOBAL", "ViT-B-16-quickgelu", tmp_path / "clip.pt", SHA256="ab" * 32)


def test_a_checkpoint_asks_for_no_file_and_keeps_the_activation(tiny_cfg, monkeypatch, log):
    from co2s.d2 import build_model

    def online(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("co2s.modeling.weights.hub.hf_hub_download", online)
    node = tiny_cfg.MODEL.GLOBAL.BACKBONE
    node.MODEL, node.WEIGHTS = "ViT-B-16", "openai"  # weights that were trained with QuickGELU
    tiny_cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = "gone.pth"
    tiny_cfg.MODEL.WEIGHTS = "a whole checkpoint"
    students = build_model(tiny_cfg).students
    block = students["global"].backbone.visual.transformer.resblocks[0]
    assert type(block.mlp.gelu).__name__ == "QuickGELU"
    assert "stand in" not in log.text
