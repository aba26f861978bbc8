"""What of the authors' files can be checked against the configuration and its model."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from co2s.d2 import CfgNode
from co2s.data.catalog import get_spec
from co2s.modeling.metadata import num_classes
from co2s.modeling.weights import WeightsError

from ..model_zoo import get_config
from ..published import published_names
from .files import FILES
from .names import BIAS_MASK, CLASS_VECTORS, PERIODS

BFLOAT16 = 2.0**-8  # relative spacing of its numbers


def check_crop(cfg: CfgNode) -> None:
    """ValueError where INPUT.CROP_SIZE is not the crop that the authors trained the dataset with.

    No file records it, so nothing is checked for datasets that are not the paper's.
    """
    names = (*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST)
    config = f"co2s_{get_spec(names[0]).name}.yaml" if names else ""
    if config not in published_names():
        return
    crop, published = cfg.INPUT.CROP_SIZE, get_config(config).INPUT.CROP_SIZE
    if crop != published:
        raise ValueError(
            f"INPUT.CROP_SIZE is {crop}; the authors trained {names[0]} with crops of {published} "
            "pixels. Convert with those; the result can be run with another window."
        )


def check_classes(cfg: CfgNode, tensors: Mapping[str, Tensor], name: str) -> None:
    """ValueError where a file has not one class vector for each class of the configuration."""
    found, classes = len(tensors[CLASS_VECTORS[name]]), num_classes(cfg)
    if found != classes:
        names = ", ".join((*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST)) or "MODEL.NUM_CLASSES"
        raise ValueError(
            f"The {name} student's file ({FILES[name]}) has {found} classes "
            f"({CLASS_VECTORS[name]}), the configuration has {classes} ({names}). Give the "
            "--config-file of the dataset that the pair was trained on."
        )


def check_grid(tensors: Mapping[str, Tensor], student: nn.Module) -> None:
    """ValueError where the learned position embedding has another grid than the model's."""
    embedding = tensors.get("backbone.pos_embed")
    own = student.state_dict().get("backbone.visual.positional_embedding")
    if embedding is None or own is None:
        return  # said with all other names
    found, expected = embedding.shape[-2], len(own)
    if found != expected:
        raise ValueError(
            f"The global student's position embedding has {found} entries in its file and "
            f"{expected} in the model. Set MODEL.GLOBAL.BACKBONE.IMAGE_SIZE (224 pixels in patches "
            "of 16 make 14 x 14 and the class token: 197)."
        )


def check_masks(tensors: Mapping[str, Tensor]) -> None:
    """WeightsError unless every bias mask is 1 for query and value, 0 for key.

    Only then is the bias of the key, which is left out, of no effect.
    """
    masks = {name: value for name, value in tensors.items() if BIAS_MASK.fullmatch(name)}
    blocks = {name for name in tensors if name.endswith("attn.qkv.bias")}
    missing = sorted(name for name in blocks if f"{name}_mask" not in masks)
    if missing:
        raise WeightsError(f"{FILES['local']}: no bias_mask beside {', '.join(missing)}.")
    for name, mask in masks.items():
        expected = torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(len(mask) // 3)
        if not torch.equal(mask.float(), expected):
            raise WeightsError(
                f"{FILES['local']}: {name} is not 1 for query and value and 0 for key. The model "
                "has no bias for the key, so another mask would be another network."
            )


def check_periods(tensors: Mapping[str, Tensor], student: nn.Module) -> None:
    """WeightsError unless the file's RoPE periods are the model's, up to bfloat16's rounding."""
    own = dict(student.named_buffers()).get("backbone.vit.rope.periods")
    found = tensors.get(PERIODS)
    if own is None or found is None:
        whose = "The local student of the configuration" if own is None else FILES["local"]
        raise WeightsError(f"{whose} has no RoPE periods ({PERIODS} in the files).")
    if found.shape != own.shape or ((found.float() / own.float() - 1).abs() > BFLOAT16).any():
        raise WeightsError(
            f"{FILES['local']}: {PERIODS} are {found.tolist()}, the model's are {own.tolist()}. "
            "With other periods the positions mean something else."
        )
