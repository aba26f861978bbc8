"""Strictness of the conversion: nothing is left over, left out, or of another meaning."""

import pytest
import torch
from torch import nn

from co2s import model_zoo
from co2s.d2 import build_model
from co2s.model_zoo.authors import convert, released
from co2s.modeling.weights import WeightsError

CLIP, DINOV3 = "best_clip.pth", "best_dinov3.pth"
MASK = "backbone.blocks.1.attn.qkv.bias_mask"
PERIODS = "backbone.rope_embed.periods"


@pytest.fixture
def changed(tiny_format, authors_format, tmp_path):
    """A function (student, change, **config) that converts a pair after `change(tensors)`."""
    cfg, write = tiny_format
    pair = write(tmp_path)

    def run(student, change, **config):
        change(pair[student])
        authors_format.write(tmp_path / (CLIP if student == "global" else DINOV3), pair[student])
        cfg.merge_from_list([x for key, value in config.items() for x in (key, value)])
        return convert(cfg, tmp_path / CLIP, tmp_path / DINOV3)

    return run


def test_every_value_of_the_files_is_in_the_model(tiny_pair):
    _, pair, state = tiny_pair
    checked = [name for name in pair["local"] if "bias_mask" in name]
    for name in ("backbone.mask_token", PERIODS, *checked):
        del pair["local"][name]
    for student, tensors in pair.items():
        ours = [value for key, value in state.items() if key.startswith(f"students.{student}.")]
        in_file = tensors.values()
        key_biases = sum(n.endswith("qkv.bias") for n in tensors) * 32
        assert sum(x.numel() for x in in_file) - sum(x.numel() for x in ours) == key_biases
        assert len(ours) == len(tensors) + key_biases // 32


def test_values_by_name(tiny_pair):
    _, pair, state = tiny_pair
    ours = {key.removeprefix("students."): value for key, value in state.items()}
    same = {
        "global.guidance.prototypes": pair["global"]["_cached_text"],
        "global.backbone.visual.proj": pair["global"]["backbone.proj.weight"][:, :, 0, 0].T,
        "global.backbone.visual.class_embedding": pair["global"]["backbone.cls_token"][0, 0],
        "global.backbone.visual.positional_embedding": pair["global"]["backbone.pos_embed"][0],
        "local.guidance.queries": pair["local"]["text_provider.emb.weight"],
        "local.backbone.vit.reg_token": pair["local"]["backbone.storage_tokens"],
        "local.backbone.vit.blocks.1.gamma_2": pair["local"]["backbone.blocks.1.ls2.gamma"],
        "local.backbone.vit.blocks.1.attn.v_bias": pair["local"]["backbone.blocks.1.attn.qkv.bias"][
            64:
        ],
        "local.head.project_deep.bias": pair["local"]["decode_head.skip_proj.0.0.bias"],
        "local.head.up2.conv2.1.bias": pair["local"]["decode_head.up2.conv.4.bias"],
    }
    for name, value in same.items():
        assert torch.equal(ours[name], value), name


def test_a_tensor_too_many_is_named(changed):
    def add(tensors):
        tensors["backbone.surprise.weight"] = torch.zeros(3)

    with pytest.raises(WeightsError, match=r"1 unknown to the format: backbone\.surprise\.weight"):
        changed("global", add)


def test_a_tensor_too_few_is_named(changed):
    def remove(tensors):
        del tensors["decode_head.up1.conv.4.bias"]

    with pytest.raises(WeightsError, match=r"not in the file: head\.up1\.conv2\.1\.bias"):
        changed("local", remove)


def test_a_second_name_for_one_tensor_is_named(changed):
    def add(tensors):
        tensors["decode_head.aspp.aspp_convs.5.gap.1.weight"] = torch.zeros(32, 32, 1, 1)

    with pytest.raises(WeightsError, match=r"unknown to the format: .*aspp_convs\.5\.gap"):
        changed("local", add)


def test_another_shape_is_named(changed):
    def cut(tensors):
        tensors["decode_head.head.weight"] = torch.zeros(1, 16, 1, 1)

    with pytest.raises(WeightsError, match=r"head\.predict\.weight \(1, 16, 1, 1\) instead of"):
        changed("global", cut)


def test_another_architecture_names_the_keys_to_check(changed):
    with pytest.raises(WeightsError, match=r"q_bias.*\n.*MODEL\.LOCAL\.BACKBONE .*_qkvb"):
        changed(
            "global", lambda _: None, **{"MODEL.LOCAL.BACKBONE.MODEL": "vit_base_patch16_dinov3"}
        )


def test_swapped_files(tiny_format, tmp_path):
    cfg, write = tiny_format
    write(tmp_path)
    with pytest.raises(WeightsError, match=r"best_dinov3\.pth' was given as the global .* Swap"):
        convert(cfg, tmp_path / DINOV3, tmp_path / CLIP)
    with pytest.raises(WeightsError, match=r"best_clip\.pth' was given as the local .* Swap"):
        convert(cfg, tmp_path / CLIP, tmp_path / CLIP)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"weights": torch.zeros(1)}, r"holds weights\. .* under 'model'"),
        ({"model": {"module.a": torch.zeros(1)}}, r"not the authors' best_clip\.pth.* It has a"),
        ({"model": {"module.a": 3}}, r"more than tensors under 'model': module\.a"),
    ],
)
def test_other_files(tiny_format, tmp_path, content, words):
    cfg, write = tiny_format
    write(tmp_path)
    torch.save(content, tmp_path / CLIP)
    with pytest.raises(WeightsError, match=words):
        convert(cfg, tmp_path / CLIP, tmp_path / DINOV3)


def test_another_class_count(changed):
    with pytest.raises(ValueError, match=r"has 6 classes \(_cached_text\).* has 7 .*--config-file"):
        changed("global", lambda _: None, **{"MODEL.NUM_CLASSES": 7})


def test_students_of_different_class_counts(changed):
    def cut(tensors):
        tensors["text_provider.emb.weight"] = torch.zeros(5, 32)

    with pytest.raises(ValueError, match=r"local student's file .* 5 classes .* has 6"):
        changed("local", cut)


def test_another_crop_than_the_published_one(tmp_path):
    cfg = model_zoo.get_config("co2s_whdld.yaml")
    cfg.INPUT.CROP_SIZE = 512
    with pytest.raises(ValueError, match=r"CROP_SIZE is 512; .* whdld_1_16_labeled .* of 256"):
        convert(cfg, tmp_path / CLIP, tmp_path / DINOV3)


def test_another_position_grid(changed):
    with pytest.raises(ValueError, match=r"17 entries in its file and 65 .*IMAGE_SIZE"):
        changed("global", lambda _: None, **{"MODEL.GLOBAL.BACKBONE.IMAGE_SIZE": 64})


def test_a_mask_that_lets_the_key_have_a_bias(changed):
    with pytest.raises(WeightsError, match=rf"{MASK} is not 1 for query and value and 0 for key"):
        changed("local", lambda tensors: tensors[MASK].fill_(1))


def test_a_bias_without_its_mask(changed):
    with pytest.raises(WeightsError, match=r"no bias_mask beside backbone\.blocks\.1"):
        changed("local", lambda tensors: tensors.pop(MASK))


def test_other_rope_periods(changed):
    def scale(tensors):
        tensors[PERIODS] = tensors[PERIODS].float() * 1.01

    with pytest.raises(WeightsError, match=r"rope_embed\.periods are \[1\.0"):
        changed("local", scale)


def test_the_pair_is_two_students_whatever_else_is_configured(tiny_cfg):
    tiny_cfg.MODEL.STUDENTS = ("local",)
    assert released(tiny_cfg).MODEL.STUDENTS == ("global", "local")


def test_released_students_compute_as_the_release(tiny_cfg):
    tiny_cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = "/nowhere/weights.pth"
    cfg = released(tiny_cfg)
    assert not tiny_cfg.MODEL.GLOBAL.LOGITS_SIZE, "the given configuration stays as it is"
    model = build_model(cfg)
    assert [s.logits_size for s in model.students.values()] == [224, 256]
    for student in model.students.values():
        norms = [m for m in student.backbone.modules() if isinstance(m, nn.LayerNorm)]
        assert len(norms) >= 5 and {norm.eps for norm in norms} == {1e-6}
        kinds = (nn.LayerNorm, nn.GroupNorm)
        assert {m.eps for m in student.head.modules() if isinstance(m, kinds)} == {1e-5}
        activations = [m for m in student.backbone.modules() if "GELU" in type(m).__name__]
        assert activations and all(type(m) is nn.GELU for m in activations)
