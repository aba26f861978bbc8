"""Any timm ViT, DINOv3's above all, as a dense backbone."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from co2s.d2 import BACKBONE_REGISTRY, Backbone, CfgNode, ShapeSpec, configurable
from co2s.optional import LateModule

from .extra_bands import extended
from .features import (
    DENSE,
    SKIP_DEEP,
    SKIP_SHALLOW,
    drop_unused,
    feature_layers,
    pad_to_multiple,
)
from .timm_formats import find_timm_file, load_vit, timm_tensors

timm = LateModule("timm")


@BACKBONE_REGISTRY.register()
class TimmViT(Backbone):
    """A timm vision transformer read at three blocks (method section 2, the local student).

    All three maps pass the final LayerNorm; class and register tokens are left out. Inputs are
    padded to whole patches.
    """

    vit: Any  # timm's ViTs share names, not a type

    @configurable
    def __init__(self, *, vit: Any, features: Sequence[int]):
        super().__init__()
        self.vit = vit
        self.features = feature_layers(features, len(vit.blocks))
        self.patch_size: int = vit.patch_embed.patch_size[0]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        vit = build_vit(cfg.BACKBONE, dynamic_img_size=True)
        return {"vit": vit, "features": cfg.BACKBONE.FEATURES}

    def load(self, model: str, weights: str, sha256: str) -> None:
        """Load published or local weights, strictly."""
        load_vit(self.vit, find_timm_file(model, weights), sha256, self.features[DENSE] + 1)

    def to_file(self) -> dict[str, Tensor]:
        """What `load` reads, by name."""
        return timm_tensors(self.vit)

    def drop_unused(self) -> None:
        """Drop the blocks after the dense map's."""
        drop_unused(self, "vit.blocks", self.features[DENSE] + 1)

    def extend(self, bands: int) -> None:
        """Take images of more than three bands."""
        self.vit.patch_embed.proj = extended(self.vit.patch_embed.proj, bands)

    @property
    def size_divisibility(self) -> int:
        return self.patch_size

    def output_shape(self) -> dict[str, ShapeSpec]:
        shape = ShapeSpec(channels=self.vit.embed_dim, stride=self.patch_size)
        return dict.fromkeys((SKIP_SHALLOW, SKIP_DEEP, DENSE), shape)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images (B, C, H, W) -> the three maps at 1 / patch_size of the size."""
        indices = sorted(set(self.features.values()))
        maps = self.vit.forward_intermediates(
            pad_to_multiple(images, self.patch_size),
            indices=indices,
            norm=True,
            stop_early=True,
            intermediates_only=True,
        )
        by_index = dict(zip(indices, maps, strict=True))
        return {name: by_index[index] for name, index in self.features.items()}


def build_vit(node: CfgNode, **changes: Any) -> Any:
    """timm's model of a backbone's keys, without a classifier and with random weights."""
    if node.MODEL not in timm.list_models():
        near = timm.list_models(f"*{node.MODEL.split('_')[-1]}*")[:8] or ["timm.list_models()"]
        raise ValueError(f"timm has no model named {node.MODEL!r}; near it: {', '.join(near)}.")
    keys = {
        "embed_dim": node.WIDTH,
        "depth": node.DEPTH,
        "num_heads": node.HEADS,
        "patch_size": node.PATCH_SIZE,
        "img_size": node.IMAGE_SIZE,
        "init_values": node.LAYER_SCALE,
    }
    changes |= {key: value for key, value in keys.items() if value}
    if node.LAYER_NORM_EPS:
        changes["norm_layer"] = partial(nn.LayerNorm, eps=node.LAYER_NORM_EPS)
    try:
        return timm.create_model(node.MODEL, pretrained=False, num_classes=0, **changes)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{node.MODEL} is no ViT that {node.NAME} can read ({error}). TimmViT takes timm's "
            "ViTs with absolute or rotary positions, BeitViT those of BEiT."
        ) from error
