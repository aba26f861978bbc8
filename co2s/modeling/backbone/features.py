"""What all backbones share: their three maps, the layers those come from, padding to patches."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

logger = logging.getLogger(__name__)

DENSE = "dense"  # (B, C_t, h, w): compared with the guidance, class by class
SKIP_DEEP = "skip_deep"  # (B, C, h, w): detail for the decoder's first upsampling
SKIP_SHALLOW = "skip_shallow"  # (B, C, h, w): detail for its second


def feature_layers(features: Sequence[int], depth: int) -> dict[str, int]:
    """The layer of each map, counted from 0; negative numbers of FEATURES count from the end.

    ValueError unless these are three of `depth` layers, none of them before the one it follows.
    """
    layers = [i + depth if i < 0 else i for i in features]
    inside = all(0 <= layer < depth for layer in layers)
    if len(layers) != 3 or not inside or layers != sorted(layers):
        raise ValueError(
            f"BACKBONE.FEATURES is {list(features)}; it must name three of the layers 0 to "
            f"{depth - 1} in rising order: of the shallow skip, the deep skip and the dense map "
            "(-1 is the last layer; two maps may share one)."
        )
    return dict(zip((SKIP_SHALLOW, SKIP_DEEP, DENSE), layers, strict=True))


def drop_unused(backbone: nn.Module, container: str, used: int) -> None:
    """Keep the first `used` of the layers that the submodule `container` holds.

    What no map depends on would be stored, and trained by nothing. State dicts that have the
    others' tensors still load: those are left out, and the log says so.
    """
    layers: Any = backbone.get_submodule(container)
    depth = len(layers)
    if used == depth:
        return
    del layers[used:]
    name_of_layer = re.compile(rf"{re.escape(container)}\.(\d+)\.")

    def leave_out(state: dict[str, Any], prefix: str, *rest: Any) -> None:
        found = {key: name_of_layer.match(key.removeprefix(prefix)) for key in state}
        unused = [key for key, match in found.items() if match and used <= int(match[1]) < depth]
        for key in unused:
            del state[key]
        if unused:
            logger.info(
                "Left out of the weights: %d tensors of layers %d to %d (%s%s), which no map of "
                "BACKBONE.FEATURES uses",
                len(unused),
                used,
                depth - 1,
                prefix,
                container,
            )

    backbone._register_load_state_dict_pre_hook(leave_out)  # public under another name from 2.5 on
    logger.info("Layers %d to %d of %d are dropped: no map needs them", used, depth - 1, depth)


def with_unused(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], container: str, used: int
) -> dict[str, Tensor]:
    """The tensors of a file, and of `own` those that it lacks of layers after the first `used`.

    No map needs those layers, and they are dropped once the file is read. What pretraining has
    exported ends where its own dense map did.
    """
    layer = re.compile(rf"{re.escape(container)}\.(\d+)\.")
    found = {name: layer.match(name) for name in own if name not in tensors}
    lacking = {n: own[n] for n, match in found.items() if match and int(match[1]) >= used}
    return {**tensors, **lacking}


def padded_size(size: Sequence[int], divisor: int) -> tuple[int, int]:
    """Height and width, each raised to the next multiple of `divisor`; 0: as they are."""
    height, width = (side + -side % divisor if divisor else side for side in size)
    return height, width


def pad_to_multiple(x: Tensor, divisor: int) -> Tensor:
    """Zeros on the right and bottom of (B, C, H, W) until both sides are multiples."""
    height, width = padded_size(x.shape[-2:], divisor)
    return F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]))


def to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Patch tokens (B, h*w, C) -> map (B, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, grid).contiguous()
