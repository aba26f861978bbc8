"""Meta's files of DINOv2 and DINOv3, in timm's names."""

from typing import Any

import torch
from torch import Tensor

from ..weights import WeightsError

RENAMED = {
    "ls1.gamma": "gamma_1",
    "ls2.gamma": "gamma_2",
    "storage_tokens": "reg_token",
}
# Constants that both sides compute: compared or applied, not loaded.
CONSTANTS = ("bias_mask", "rope_embed.periods")
PERIODS = "rope_embed.periods"


def from_dinov3(tensors: dict[str, Tensor], vit: Any, source: str) -> dict[str, Tensor]:
    """Meta's DINOv3 (also the authors' format, method section 9) in the names of timm's Eva.

    The masked key bias is no parameter here; a model without query and value biases takes files
    where they are zero. WeightsError where RoPE or the biases are other than the model's.
    """
    _check_periods(tensors, vit, source)
    biased = getattr(vit.blocks[0].attn, "q_bias", None) is not None
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(CONSTANTS):
            continue
        if name.endswith("attn.qkv.bias"):
            renamed.update(_biases(name, tensor, tensors.get(f"{name}_mask"), biased, source))
            continue
        for old, new in RENAMED.items():
            name = name.replace(old, new)
        renamed[name] = tensor
    return renamed


def from_dinov2(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Meta's DINOv2, with or without registers, in the names of timm's VisionTransformer."""
    tensors = {
        name.replace("mlp.w12.", "mlp.fc1.").replace("mlp.w3.", "mlp.fc2."): tensor
        for name, tensor in tensors.items()
    }
    if "register_tokens" in tensors:
        # timm adds positions to patches alone: the class token comes with its own one added.
        positions = tensors.pop("pos_embed")
        tensors["reg_token"] = tensors.pop("register_tokens")
        tensors["cls_token"] = tensors["cls_token"] + positions[:, :1]
        tensors["pos_embed"] = positions[:, 1:]
    return tensors


def _biases(
    name: str, bias: Tensor, mask: Tensor | None, biased: bool, source: str
) -> dict[str, Tensor]:
    """Query and value part of a bias (3 C,) whose key part is masked out."""
    if mask is not None:
        bias = torch.where(mask == 1, bias, 0.0)
    query, key, value = bias.chunk(3)
    if key.any():
        raise WeightsError(
            f"{source}: {name} has a key bias that is not masked; DINOv3 has none. It is a file of "
            "another model, or one without its masks."
        )
    if biased:
        stem = name.removesuffix("qkv.bias")
        return {f"{stem}q_bias": query, f"{stem}v_bias": value}
    if query.any() or value.any():
        raise WeightsError(
            f"{source}: {name} is not zero, and the model has no such bias. Set BACKBONE.MODEL to "
            "the variant that has one, vit_base_patch16_dinov3_qkvb for ViT-B."
        )
    return {}


def _check_periods(tensors: dict[str, Tensor], vit: Any, source: str) -> None:
    """The file's RoPE periods must be the model's, up to the bfloat16 that Meta stores."""
    own = getattr(getattr(vit, "rope", None), "periods", None)
    periods = tensors.get(PERIODS)
    if own is None or periods is None:
        return
    if periods.shape != own.shape or not torch.allclose(periods.float(), own.float(), rtol=8e-3):
        raise WeightsError(
            f"{source}: its RoPE periods are {periods.tolist()}, the model's {own.tolist()}. Its "
            "rotation is another one: set BACKBONE.MODEL to the model the file was made for."
        )
