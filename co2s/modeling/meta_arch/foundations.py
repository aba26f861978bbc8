"""The frozen foundation models that teach RS-MTDF's students, and the necks that are of them."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from co2s.config import add_backbone
from co2s.d2 import CfgNode

from ..backbone import DENSE, outline
from .frozen_teacher import MEAN, RGB, STD, build_teacher, taught_maps, whole_patches

NODE = "MODEL.RSMTDF"
Frozen = Callable[[Tensor], Tensor]  # images (B, C, S, S) -> its map (B, D, h, w)

logger = logging.getLogger(__name__)


def add_teacher(
    node: CfgNode,
    name: str,
    backbone: str,
    model: str,
    weights: str,
    side: int = 0,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> None:
    """Add the node of a frozen teacher to MODEL.RSMTDF."""
    node[name] = add_backbone(CfgNode(), backbone, model, [-1, -1, -1])
    node[name].BACKBONE.WEIGHTS = weights
    node[name].BANDS = RGB  # of the image, as the teacher wants them: red, green, blue
    node[name].SIDE = side  # of the square that it sees, pixels; 0: the crop's; in whole patches
    node[name].MEAN, node[name].STD = [*mean], [*std]  # of what it was trained on


def frozen_nodes(cfg: CfgNode) -> dict[str, CfgNode]:
    """The node of every frozen teacher by its name; ValueError for one that is not there."""
    keys = cfg.MODEL.RSMTDF
    known = [name.lower() for name, node in keys.items() if isinstance(node, CfgNode)]
    names = keys.TEACHERS
    if not names or len({*names}) < len(names) or not {*names} <= {*known}:
        raise ValueError(f"{NODE}.TEACHERS is {tuple(names)}; name one or several of {known}.")
    return {name: keys[name.upper()] for name in names}


def dims_of(cfg: CfgNode) -> list[int]:
    """Channels of the dense map of every frozen teacher, from outlines: no file is read."""
    shapes = [outline(node).output_shape()[DENSE] for node in frozen_nodes(cfg).values()]
    return [shape.channels or 0 for shape in shapes]


def name_dims(cfg: CfgNode) -> None:
    """Give the students' necks the channels of the frozen teachers' maps, where they have none.

    With them in its node a student is built again without any teacher.
    """
    necks = [cfg.MODEL[name.upper()].NECK for name in cfg.MODEL.STUDENTS]
    if not all(neck.DIMS for neck in necks):
        dims = dims_of(cfg)
        for neck in necks:
            neck.DIMS = neck.DIMS or (*dims,)


def build_frozen(cfg: CfgNode) -> list[Frozen]:
    """Images (B, C, S, S) -> dense map, of every frozen teacher; ValueError where a neck is
    another's."""
    dims = dims_of(cfg)
    for name in cfg.MODEL.STUDENTS:
        given = [*cfg.MODEL[name.upper()].NECK.DIMS]
        if given != dims:
            raise ValueError(
                f"MODEL.{name.upper()}.NECK.DIMS is {given}, and the maps of {NODE}.TEACHERS have "
                f"{dims} channels. Set it to (), or choose the teachers that it is of."
            )
    return [_build(cfg, name, node) for name, node in frozen_nodes(cfg).items()]


def _build(cfg: CfgNode, name: str, node: CfgNode) -> Frozen:
    key = f"{NODE}.{name.upper()}"
    if not node.BACKBONE.WEIGHTS:
        logger.warning("%s.BACKBONE.WEIGHTS is empty: this frozen teacher is random.", key)
    with torch.random.fork_rng(devices=[]):
        # A random one is the same on all processes, and in a resumed run.
        torch.default_generator.manual_seed(0)
        keys = f"{key}.MEAN", f"{key}.STD"
        teacher = build_teacher(cfg, node, len(node.BANDS), node.MEAN, node.STD, keys)
    teacher.to(cfg.MODEL.DEVICE)
    patch = teacher.backbone.size_divisibility
    side = whole_patches(node.SIDE or cfg.INPUT.CROP_SIZE, patch)
    return lambda images: taught_maps(teacher, images, node.BANDS, side)[DENSE]
