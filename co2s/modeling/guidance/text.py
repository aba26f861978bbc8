"""Explicit guidance: frozen text prototypes of the classes' concepts."""

import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import CfgNode, configurable

from .build import GUIDANCE_REGISTRY
from .prototype_file import load_prototypes
from .text_encoder import text_models

logger = logging.getLogger(__name__)

FROM_CHECKPOINT = "checkpoint"  # in place of a path: a checkpoint is about to bring them


@GUIDANCE_REGISTRY.register()
class TextPrototypes(nn.Module):
    """Frozen class vectors (N, C_t) from CLIP's text encoder, L2-normalised (method section 2).

    They are a buffer: a checkpoint carries them, and no text encoder is needed to use it.
    """

    prototypes: Tensor

    @configurable
    def __init__(self, *, prototypes: Tensor):
        super().__init__()
        self.register_buffer("prototypes", F.normalize(prototypes.float(), dim=1))

    @classmethod
    def from_config(cls, cfg: CfgNode, num_classes: int, dim: int) -> dict[str, Any]:
        path = cfg.GUIDANCE.PROTOTYPES
        if path == FROM_CHECKPOINT:
            return {"prototypes": stand_in_prototypes(num_classes, dim)}
        if path:
            return {"prototypes": read_prototypes(path, num_classes, dim)}
        logger.warning(
            "MODEL.*.GUIDANCE.PROTOTYPES is empty: orthogonal vectors stand in for text prototypes."
            " Use them for tests and for training from scratch only."
        )
        return {"prototypes": stand_in_prototypes(num_classes, dim)}

    def forward(self) -> Tensor:
        return self.prototypes


def read_prototypes(path: str, num_classes: int, dim: int) -> Tensor:
    """Prototypes (N, C) from a .npz file (`prototype_file`) or a plain .npy, as the authors' is.

    Raises FileNotFoundError, or ValueError where the file cannot be read or the shape is not
    (num_classes, dim). The record is not looked at: `co2s.engine.prototypes` does that.
    """
    array, record = load_prototypes(path)
    check_shape(f"Text prototypes '{path}'", array.shape, num_classes, dim)
    if record is None:
        logger.info(
            "Text prototypes %s say nothing of their origin: model, weights, concepts and templates"
            " cannot be checked, only the shape %s.",
            path,
            array.shape,
        )
    return torch.from_numpy(array.astype("float32"))


def check_shape(what: str, shape: tuple[int, ...], num_classes: int, dim: int) -> None:
    """ValueError, with a way out, where prototypes do not fit the classes or the backbone."""
    if shape == (num_classes, dim):
        return
    if shape[1] == dim:
        advice = "They were made for other classes: make them for this dataset."
    else:
        advice = (
            f"Text and dense map must have the same dimensions. Set GUIDANCE.TEXT_MODEL (and "
            f"TEXT_WEIGHTS) to a model of {dim} dimensions ({_examples(dim)}), or "
            "GUIDANCE.NAME to LearnableQueries, which fit every backbone."
        )
    raise ValueError(
        f"{what} have shape {shape}, {shape[0]} classes of {shape[1]} dimensions; {num_classes} "
        f"classes and the {dim} channels of the backbone's dense map need {(num_classes, dim)}. "
        + advice
    )


def _examples(dim: int) -> str:
    return ", ".join(text_models(dim)[:4]) or "open_clip's ViTs have none"


def stand_in_prototypes(num_classes: int, dim: int) -> Tensor:
    """Orthogonal unit vectors (N, C), the same on every call and machine."""
    if num_classes > dim:
        raise ValueError(f"{num_classes} orthogonal vectors do not fit into {dim} dimensions.")
    generator = torch.Generator().manual_seed(0)
    return nn.init.orthogonal_(torch.empty(num_classes, dim), generator=generator)
