"""CLIP's ViT as a dense backbone: open_clip's modules, read along MaskCLIP's value path."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import BACKBONE_REGISTRY, Backbone, CfgNode, ShapeSpec, configurable
from co2s.layers import QuickGELU
from co2s.optional import LateModule

from .clip_formats import find_clip_file, load_visual, quick_gelu, visual_tensors
from .extra_bands import extended
from .features import (
    DENSE,
    SKIP_DEEP,
    SKIP_SHALLOW,
    drop_unused,
    feature_layers,
    pad_to_multiple,
    to_map,
)

open_clip, transformer = LateModule("open_clip"), LateModule("open_clip.transformer")

ACTIVATIONS = {"gelu": nn.GELU, "quick_gelu": QuickGELU}


@BACKBONE_REGISTRY.register()
class CLIPViT(Backbone):
    """CLIP's vision transformer (method section 2, the global student).

    The dense map is the value path of the last layer in CLIP's joint embedding, L2-normalised;
    the skips are the value paths of two earlier layers. Inputs are padded to whole patches. With
    FEATURES "the last layer" may be an earlier one: those after it are dropped.
    """

    @configurable
    def __init__(self, *, visual: Any, features: Sequence[int]):
        super().__init__()
        self.visual = visual
        self.features = feature_layers(features, len(visual.transformer.resblocks))
        self.patch_size: int = visual.patch_size[0]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        node = cfg.BACKBONE.clone()
        node.defrost()
        cls.settle(node)
        return {"visual": _build_visual(node), "features": node.FEATURES}

    @staticmethod
    def settle(node: CfgNode) -> None:
        """Name the activation that the weights were trained with."""
        if not node.ACTIVATION:
            node.ACTIVATION = "quick_gelu" if quick_gelu(node.MODEL, node.WEIGHTS) else "gelu"

    def load(self, model: str, weights: str, sha256: str) -> None:
        """Load published or local weights, strictly."""
        load_visual(self.visual, find_clip_file(model, weights), sha256, self.features[DENSE] + 1)

    def to_file(self) -> dict[str, Tensor]:
        """What `load` reads, by name."""
        return visual_tensors(self.visual)

    def drop_unused(self) -> None:
        """Drop the layers after the dense map's."""
        drop_unused(self, "visual.transformer.resblocks", self.features[DENSE] + 1)

    def extend(self, bands: int) -> None:
        """Take images of more than three bands."""
        self.visual.conv1 = extended(self.visual.conv1, bands)

    @property
    def size_divisibility(self) -> int:
        return self.patch_size

    def output_shape(self) -> dict[str, ShapeSpec]:
        width = self.visual.conv1.out_channels
        channels = {SKIP_SHALLOW: width, SKIP_DEEP: width, DENSE: self.visual.output_dim}
        return {k: ShapeSpec(channels=c, stride=self.patch_size) for k, c in channels.items()}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images (B, C, H, W) -> the three maps at 1 / patch_size of the size."""
        x = self.visual.conv1(pad_to_multiple(images, self.patch_size))
        grid = (x.shape[2], x.shape[3])
        x = self._embed(x.flatten(2).transpose(1, 2), grid)
        blocks = self.visual.transformer.resblocks
        maps = {}
        for i, block in enumerate(blocks):
            for name, layer in self.features.items():
                if layer == i:
                    maps[name] = self._finish(name, value_path(block, x[:, 1:]), grid)
            # The last layer's own attention mixing is never used.
            x = block(x) if i < len(blocks) - 1 else x
        return maps

    def _embed(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        cls_token = self.visual.class_embedding.to(patches.dtype).expand(patches.shape[0], 1, -1)
        x = torch.cat([cls_token, patches], dim=1)
        positions = resize_positions(self.visual.positional_embedding, self.visual.grid_size, grid)
        return self.visual.ln_pre(x + positions.to(x.dtype))

    def _finish(self, name: str, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        if name == DENSE:
            tokens = F.normalize(self.visual.ln_post(tokens) @ self.visual.proj, dim=-1)
        return to_map(tokens, grid)


def value_path(block: Any, x: Tensor) -> Tensor:
    """A CLIP layer without attention mixing, tokens (B, L, C) -> (B, L, C) (MaskCLIP)."""
    attn, width = block.attn, x.shape[-1]
    weight, bias = attn.in_proj_weight[2 * width :], attn.in_proj_bias[2 * width :]
    values = F.linear(block.ln_1(x), weight, bias)
    x = x + block.ls_1(attn.out_proj(values))
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def resize_positions(embedding: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]) -> Tensor:
    """Position embedding (1 + h*w, C), cls token first, resized bicubically to a new grid."""
    if tuple(grid) == tuple(new_grid):
        return embedding
    patches = to_map(embedding[None, 1:], grid)
    patches = F.interpolate(patches, size=new_grid, mode="bicubic", align_corners=False)
    return torch.cat([embedding[:1], patches[0].flatten(1).T], dim=0)


def _build_visual(node: CfgNode) -> Any:
    named = open_clip.get_model_config(node.MODEL)
    if named is None or "timm_model_name" in named["vision_cfg"]:
        known = [m for m in open_clip.list_models() if m.startswith("ViT-")]
        raise ValueError(f"open_clip has no ViT named {node.MODEL!r}; it has {', '.join(known)}.")
    vision = named["vision_cfg"]
    width = node.WIDTH or vision["width"]
    if node.ACTIVATION not in ACTIVATIONS:
        raise ValueError(f"ACTIVATION is {node.ACTIVATION!r}; it may be {', '.join(ACTIVATIONS)}.")
    return transformer.VisionTransformer(
        image_size=node.IMAGE_SIZE or vision["image_size"],
        patch_size=node.PATCH_SIZE or vision["patch_size"],
        width=width,
        layers=node.DEPTH or vision["layers"],
        heads=node.HEADS or width // vision.get("head_width", 64),
        mlp_ratio=vision.get("mlp_ratio", 4.0),
        ls_init_value=vision.get("ls_init_value"),
        output_dim=node.OUTPUT_DIM or named["embed_dim"],
        pos_embed_type=node.POSITIONS,
        act_layer=ACTIVATIONS[node.ACTIVATION],
        norm_layer=partial(transformer.LayerNorm, eps=node.LAYER_NORM_EPS or 1e-5),
    )
