"""Weights of BEiT, BEiTv2 and SimMIM: one table of relative positions for each layer."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..weights import WeightsError, load_strictly, read_tensors
from .timm_formats import encoder_tensors, fitted, timm_tensors, to_timm

logger = logging.getLogger(__name__)

TABLE = "relative_position_bias_table"
TABLE_OF = f"blocks.{{}}.attn.{TABLE}"
SHARED = f"rel_pos_bias.{TABLE}"


def load_beit(
    vit: Any, table: nn.Parameter, path: Path, sha256: str = "", used: int | None = None
) -> None:
    """Load timm's Beit and the tables (depth, R, heads) strictly from any known file.

    Pretraining shares one table among all layers; each layer gets a copy of its own, as in the
    fine-tuning of BEiT and SimMIM. used: blocks that a map needs; a file may lack those after them.
    """
    used = len(table) if used is None else used
    source = f"'{path}'"
    tensors = encoder_tensors(read_tensors(path, sha256))
    tensors = {name: x for name, x in tensors.items() if not name.endswith("position_index")}
    tables = _take_tables(tensors, len(table), used, source)
    load_strictly(vit, fitted(to_timm(tensors, vit, source), vit, source, used), source)
    if tables.shape != table.shape:
        raise WeightsError(
            f"{source}: its tables of relative positions are {tuple(tables.shape)} (layers, "
            f"offsets, heads), the model's {tuple(table.shape)}. Set BACKBONE.IMAGE_SIZE to the "
            "size that the file was trained at."
        )
    with torch.no_grad():
        table.copy_(tables)


def beit_tensors(vit: Any, table: Tensor) -> dict[str, Tensor]:
    """What `load_beit` reads: timm's names, with the table of every block that is still there."""
    tables = {TABLE_OF.format(i): table[i].clone() for i in range(len(vit.blocks))}
    return timm_tensors(vit) | tables


def _take_tables(tensors: dict[str, Tensor], depth: int, used: int, source: str) -> Tensor:
    """The tables (depth, R, heads), taken out of the tensors; zeros where a block has none."""
    if SHARED in tensors:
        logger.info("The file's one table of relative positions is copied into %d layers", depth)
        return tensors.pop(SHARED).expand(depth, -1, -1)
    names = [TABLE_OF.format(i) for i in range(depth)]
    missing = [name for name in names[:used] if name not in tensors]
    if missing:
        raise WeightsError(
            f"{source} has no relative positions: {missing[0]} and {SHARED} are missing. BeitViT "
            "reads BEiT, BEiTv2 and SimMIM; other ViTs are BACKBONE.NAME TimmViT."
        )
    none = torch.zeros_like(tensors[names[0]])
    return torch.stack([tensors.pop(name, none) for name in names])
