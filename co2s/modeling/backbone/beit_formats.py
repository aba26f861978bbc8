"""Weights of BEiT, BEiTv2 and SimMIM: one table of relative positions for each layer."""

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from ..weights import WeightsError, load_strictly, read_tensors
from .timm_formats import encoder_tensors, to_timm

logger = logging.getLogger(__name__)

TABLE = "relative_position_bias_table"
SHARED = f"rel_pos_bias.{TABLE}"


def load_beit(vit: nn.Module, table: nn.Parameter, path: Path, sha256: str = "") -> None:
    """Load timm's Beit and the tables (depth, R, heads) strictly from any known file.

    Pretraining shares one table among all layers; each layer gets a copy of its own, as in the
    fine-tuning of BEiT and SimMIM.
    """
    source = f"'{path}'"
    tensors = encoder_tensors(read_tensors(path, sha256))
    tensors = {name: x for name, x in tensors.items() if not name.endswith("position_index")}
    tables = _take_tables(tensors, len(table), source)
    load_strictly(vit, to_timm(tensors, vit, source), source)
    if tables.shape != table.shape:
        raise WeightsError(
            f"{source}: its tables of relative positions are {tuple(tables.shape)} (layers, "
            f"offsets, heads), the model's {tuple(table.shape)}. Set BACKBONE.IMAGE_SIZE to the "
            "size that the file was trained at."
        )
    with torch.no_grad():
        table.copy_(tables)


def _take_tables(tensors: dict[str, Tensor], depth: int, source: str) -> Tensor:
    """The tables (depth, R, heads), taken out of the tensors."""
    if SHARED in tensors:
        logger.info("The file's one table of relative positions is copied into %d layers", depth)
        return tensors.pop(SHARED).expand(depth, -1, -1)
    names = [f"blocks.{i}.attn.{TABLE}" for i in range(depth)]
    missing = [name for name in names if name not in tensors]
    if missing:
        raise WeightsError(
            f"{source} has no relative positions: {missing[0]} and {SHARED} are missing. BeitViT "
            "reads BEiT, BEiTv2 and SimMIM; other ViTs are BACKBONE.NAME TimmViT."
        )
    return torch.stack([tensors.pop(name) for name in names])
