"""Weights of timm's ViTs: published names, and the files of the projects they come from."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from co2s.optional import LateModule

from ..weights import load_strictly, local_file, read_tensors, unwrap
from ..weights.embedded import embedded_file, embedded_names
from ..weights.hub import fetch
from .dino_formats import from_dinov2, from_dinov3
from .extra_bands import joined, split
from .features import with_unused

timm = LateModule("timm")

logger = logging.getLogger(__name__)

KEY = "MODEL.<GLOBAL or LOCAL>.BACKBONE.WEIGHTS"
GATED = (
    "DINOv3 is gated: ask Meta for access and give the path of the file (Meta's own .pth or timm's "
    f".safetensors) as {KEY}. An open alternative is DINOv2: BACKBONE.MODEL "
    "vit_base_patch14_dinov2 with BACKBONE.WEIGHTS lvd142m."
)
ADVICE = f"Get that file where there is a network, and give its path as {KEY}."
PATCHES = "patch_embed.proj"  # the patch embedding
# Where training scripts keep the encoder among other networks: DDP, iBOT, SimMIM.
PREFIXES = ("module.", "backbone.", "encoder.")
# Parts that pretraining needs and a backbone has not: by the start of their names.
PRETRAINING = {
    "head.": "classifier or projection head",
    "fc.": "classifier",
    "decoder": "decoder of MAE and SimMIM",
    "mask_token": "mask token",
    "masked_embed": "mask token of iBOT",
    "lm_head.": "token classifier of BEiT",
    "cls_pt_layers.": "patch aggregation of BEiTv2",
}


def find_timm_file(model: str, weights: str) -> Path:
    """The local file of weights: a path as it is, a name of `co2s.modeling.weights.embedded`, a
    timm tag or name once it is downloaded.

    FileNotFoundError for a path without a file, ValueError for an unknown name, WeightsError where
    its file cannot be had.
    """
    path = embedded_file(weights, "TimmViT") or local_file(weights)
    if path is not None:
        return path
    name = weights if weights.startswith(f"{model}.") else f"{model}.{weights}"
    if name not in timm.list_pretrained(f"{model}.*"):
        known = [tag.removeprefix(f"{model}.") for tag in timm.list_pretrained(f"{model}.*")]
        known += embedded_names("TimmViT")
        raise ValueError(
            f"There are no weights {weights!r} for {model}; there are {', '.join(known)}. "
            f"A local file is given by its path ({KEY})."
        )
    published: Any = timm.models.get_pretrained_cfg(name)
    files = [published.hf_hub_filename or "model.safetensors"]
    return fetch(published.hf_hub_id, files, GATED if "dinov3" in model else ADVICE)


def load_vit(vit: Any, path: Path, sha256: str = "", used: int | None = None) -> None:
    """Load a timm ViT strictly from a file in any format known here, and log what was left out.

    used: blocks that a map needs; a file may lack those after them. None: all.
    """
    source = f"'{path}'"
    tensors = to_timm(encoder_tensors(read_tensors(path, sha256)), vit, source)
    load_strictly(vit, fitted(tensors, vit, source, used), source)


def fitted(
    tensors: dict[str, Tensor], vit: Any, source: str, used: int | None
) -> dict[str, Tensor]:
    """Tensors in timm's names for a ViT of any number of bands, of which `used` blocks count."""
    own = vit.state_dict()
    used = len(vit.blocks) if used is None else used
    return split(with_unused(tensors, own, "blocks", used), PATCHES, own, source)


def timm_tensors(vit: nn.Module) -> dict[str, Tensor]:
    """What `load_vit` reads: timm's names, one patch embedding for all bands."""
    return joined(vit.state_dict(), PATCHES)


def encoder_tensors(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The encoder's tensors of a file; what only its pretraining needed is left out, and logged."""
    tensors = unwrap(content, PREFIXES)
    left = {name for name in tensors if name.startswith(tuple(PRETRAINING))}
    for start, part in PRETRAINING.items():
        count = sum(name.startswith(start) for name in left)
        if count:
            logger.info("Left out of the weights: %d tensors %s* (%s)", count, start, part)
    return {name: tensor for name, tensor in tensors.items() if name not in left}


def to_timm(tensors: dict[str, Tensor], vit: nn.Module, source: str) -> dict[str, Tensor]:
    """The same tensors under the names that timm gives them.

    Known: Meta's DINOv3 and DINOv2; DINO, MAE and iBOT have timm's names already.
    """
    own = vit.state_dict()
    if "storage_tokens" in tensors:
        tensors = from_dinov3(tensors, vit, source)
    elif "blocks.0.ls1.gamma" in tensors:
        tensors = from_dinov2(tensors)
    # A final norm of pooled tokens is the final norm of the tokens that were pooled.
    if "fc_norm.weight" in tensors and "norm.weight" in own and "norm.weight" not in tensors:
        logger.info("The final norm is the file's fc_norm: it was trained on pooled tokens")
        tensors = {name.replace("fc_norm.", "norm."): x for name, x in tensors.items()}
    return _with_zero_bias(tensors, own)


def _with_zero_bias(tensors: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm stores DINOv3 with and without its query and value biases; those left out are zero."""
    biases = [n for n in own if n.endswith((".q_bias", ".v_bias")) and n not in tensors]
    if not biases or "reg_token" not in tensors or any("q_bias" in name for name in tensors):
        return tensors
    logger.info("The weights have no query and value biases: %d of them start at zero", len(biases))
    return tensors | {name: own[name].new_zeros(own[name].shape) for name in biases}
