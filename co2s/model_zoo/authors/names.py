"""The names in the authors' checkpoint files (method section 9), and ours for them."""

import re
from collections.abc import Mapping

from torch import Tensor

CLASS_VECTORS = {"global": "_cached_text", "local": "text_provider.emb.weight"}
PERIODS = "backbone.rope_embed.periods"
BIAS_MASK = re.compile(r"backbone\.blocks\.\d+\.attn\.qkv\.bias_mask")
QKV_BIAS = re.compile(r"(.*\.attn\.)qkv\.bias")

# Constants of the architecture, and what only pretraining used: checked (`checks`), not kept.
NOT_NEEDED = (re.compile(re.escape(PERIODS)), BIAS_MASK, re.compile(r"backbone\.mask_token"))

_HEAD = {
    r"conv1": "embed",
    r"aspp\.aspp_convs\.(\d+)\.([01])": r"spatial.branches.\1.\2",
    r"aspp\.aspp_convs\.\d+\.gap\.1": "spatial.pool.0",
    r"aspp\.aspp_convs\.\d+\.gap\.2": "spatial.pool.1",
    r"aspp\.project\.([01])": r"spatial.project.\1",
    r"layers\.(\d+)\.transformer\.ln([12])": r"class_layers.\1.norm\2",
    r"layers\.(\d+)\.transformer\.attn\.attn\.(in|out)_proj": r"class_layers.\1.attention.\2_proj",
    r"layers\.(\d+)\.transformer\.ffn\.layers\.0\.0": r"class_layers.\1.feed_forward.0",
    r"layers\.(\d+)\.transformer\.ffn\.layers\.1": r"class_layers.\1.feed_forward.2",
    r"text_proj\.0": "project_guidance",
    r"skip_proj\.0\.0": "project_deep",
    r"skip_proj\.1\.0": "project_shallow",
    r"up([12])\.up": r"up\1.up",
    r"up([12])\.conv\.([01])": r"up\1.conv1.\2",
    r"up([12])\.conv\.3": r"up\1.conv2.0",
    r"up([12])\.conv\.4": r"up\1.conv2.1",
    r"head": "predict",
}
_CLIP = {
    r"patch_embed\.projection": "conv1",
    r"ln0": "ln_pre",
    r"layers\.(\d+)\.ln([12])": r"transformer.resblocks.\1.ln_\2",
    r"layers\.(\d+)\.attn\.attn\.(in|out)_proj": r"transformer.resblocks.\1.attn.\2_proj",
    r"layers\.(\d+)\.ffn\.layers\.0\.0": r"transformer.resblocks.\1.mlp.c_fc",
    r"layers\.(\d+)\.ffn\.layers\.1": r"transformer.resblocks.\1.mlp.c_proj",
    r"ln1": "ln_post",
}
_DINOV3 = {
    r"patch_embed\.proj": "patch_embed.proj",
    r"blocks\.(\d+)\.norm([12])": r"blocks.\1.norm\2",
    r"blocks\.(\d+)\.attn\.(qkv|proj)": r"blocks.\1.attn.\2",
    r"blocks\.(\d+)\.mlp\.fc([12])": r"blocks.\1.mlp.fc\2",
    r"norm": "norm",
}
_VALUES = {  # whole names; those above are of modules, with a weight or a bias each
    "global": {
        r"_cached_text": "guidance.prototypes",
        r"backbone\.cls_token": "backbone.visual.class_embedding",
        r"backbone\.pos_embed": "backbone.visual.positional_embedding",
        r"backbone\.proj\.weight": "backbone.visual.proj",
    },
    "local": {
        r"text_provider\.emb\.weight": "guidance.queries",
        r"backbone\.cls_token": "backbone.vit.cls_token",
        r"backbone\.storage_tokens": "backbone.vit.reg_token",
        r"backbone\.blocks\.(\d+)\.ls([12])\.gamma": r"backbone.vit.blocks.\1.gamma_\2",
    },
}


def _rules(student: str, backbone: dict[str, str], ours: str) -> list[tuple[re.Pattern, str]]:
    """(Name in the file, name in our student) for every kind of tensor."""
    leaf = r"(?P<leaf>[._](?:weight|bias))"
    parts = [(r"decode_head\.", "head.", _HEAD), (r"backbone\.", f"backbone.{ours}.", backbone)]
    rules = dict(_VALUES[student])
    for theirs, prefix, names in parts:
        rules |= {f"{theirs}{old}{leaf}": rf"{prefix}{new}\g<leaf>" for old, new in names.items()}
    return [(re.compile(old), new) for old, new in rules.items()]


RULES = {
    "global": _rules("global", _CLIP, "visual"),
    "local": _rules("local", _DINOV3, "vit"),
}


def rename(tensors: Mapping[str, Tensor], student: str) -> tuple[dict[str, Tensor], list[str]]:
    """A student's tensors by our names, in our layout; and names that the format does not have.

    Two names for one of ours count as unknown too: the second is not the format's.
    """
    renamed: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, value in tensors.items():
        if student == "local" and any(pattern.fullmatch(name) for pattern in NOT_NEEDED):
            continue
        ours = _our_name(name, student)
        if ours is None or ours in renamed:
            unknown.append(name)
        elif student == "local" and (bias := QKV_BIAS.fullmatch(ours)):
            # The bias of the key is masked to zero in this format, and timm has none.
            query_bias, _, value_bias = value.tensor_split(3)
            renamed |= {f"{bias[1]}q_bias": query_bias, f"{bias[1]}v_bias": value_bias}
        else:
            renamed[ours] = _our_layout(ours, value)
    return renamed, unknown


def _our_name(name: str, student: str) -> str | None:
    for pattern, ours in RULES[student]:
        if match := pattern.fullmatch(name):
            return match.expand(ours)
    return None


def _our_layout(name: str, value: Tensor) -> Tensor:
    if name.endswith(("visual.class_embedding", "visual.positional_embedding")):
        return value.squeeze()  # (1, L, C) there
    if name == "backbone.visual.proj":
        return value.flatten(1).T  # there a 1x1 convolution (C_out, C_in, 1, 1)
    return value
