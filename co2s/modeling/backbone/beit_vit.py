"""BEiT's ViT (BEiT, BEiTv2, SimMIM) as a dense backbone for any size of image."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import BACKBONE_REGISTRY, CfgNode, configurable
from co2s.optional import LateModule

from .beit_formats import beit_tensors, load_beit
from .features import DENSE, pad_to_multiple, to_map
from .timm_formats import find_timm_file
from .timm_vit import TimmViT, build_vit

pos_embed_rel = LateModule("timm.layers.pos_embed_rel")

PREFIX = 3  # table rows of the class token: to patches, from patches, to itself


@BACKBONE_REGISTRY.register()
class BeitViT(TimmViT):
    """timm's Beit read at three blocks, each after the final LayerNorm.

    Its positions are relative: a table for each layer, resized bicubically to the image's grid
    (timm's own module takes one size of image only).
    """

    @configurable
    def __init__(self, *, vit: Any, features: Sequence[int]):
        super().__init__(vit=vit, features=features)
        heads = vit.blocks[0].attn.num_heads
        self.attn_bias = RelativePositions(vit.patch_embed.grid_size, len(vit.blocks), heads)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        # The tables live in `attn_bias`: the last norm sees tokens, as there is no pooling.
        vit = build_vit(cfg.BACKBONE, use_rel_pos_bias=False, global_pool="")
        return {"vit": vit, "features": cfg.BACKBONE.FEATURES}

    def load(self, model: str, weights: str, sha256: str) -> None:
        path = find_timm_file(model, weights)
        load_beit(self.vit, self.attn_bias.table, path, sha256, self.features[DENSE] + 1)

    def to_file(self) -> dict[str, Tensor]:
        return beit_tensors(self.vit, self.attn_bias.table)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images (B, C, H, W) -> the three maps at 1 / patch_size of the size."""
        x = self.vit.patch_embed.proj(pad_to_multiple(images, self.patch_size))
        grid = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.vit.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        maps = {}
        biases = self.attn_bias(grid, len(self.vit.blocks))
        for i, (block, bias) in enumerate(zip(self.vit.blocks, biases, strict=True)):
            x = block(x, shared_rel_pos_bias=bias.to(x.dtype))
            for name, layer in self.features.items():
                if layer == i:
                    maps[name] = to_map(self.vit.norm(x)[:, 1:], grid)
        return maps


class RelativePositions(nn.Module):
    """Tables of attention biases by offset, for `depth` layers and a grid of patches (BEiT).

    Layers that are dropped keep their table, so that every file and checkpoint fits.
    """

    def __init__(self, grid: tuple[int, int], depth: int, heads: int):
        super().__init__()
        self.grid = grid
        offsets = (2 * grid[0] - 1) * (2 * grid[1] - 1)
        self.table = nn.Parameter(torch.zeros(depth, offsets + PREFIX, heads))

    def forward(self, grid: tuple[int, int], layers: int) -> Tensor:
        """Biases (layers, 1, heads, 1 + h*w, 1 + h*w) of a grid (h, w), class token first."""
        index = pos_embed_rel.gen_relative_position_index(grid, class_token=True).to(
            self.table.device
        )
        tables = self._resized(self.table[:layers], grid)
        return tables[:, index].permute(0, 3, 1, 2).unsqueeze(1)

    def _resized(self, tables: Tensor, grid: tuple[int, int]) -> Tensor:
        """The tables (layers, R', heads) of another grid."""
        if tuple(grid) == tuple(self.grid):
            return tables
        own, new = ([2 * side - 1 for side in size] for size in (self.grid, grid))
        patches = tables[:, :-PREFIX].transpose(1, 2).unflatten(2, own)
        patches = F.interpolate(patches, size=new, mode="bicubic", align_corners=False)
        return torch.cat([patches.flatten(2).transpose(1, 2), tables[:, -PREFIX:]], dim=1)
