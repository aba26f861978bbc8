"""Explicit guidance: frozen text prototypes of the classes' concepts."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import CfgNode, configurable

from .build import GUIDANCE_REGISTRY

logger = logging.getLogger(__name__)


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
    """Prototypes (N, C) from a .npy file, or from the array `prototypes` of an .npz file.

    Raises FileNotFoundError, or ValueError where the shape is not (num_classes, dim).
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"Text prototypes {path!r}: no such file.")
    data = np.load(path, allow_pickle=False)
    array = data["prototypes"] if path.endswith(".npz") else data
    if array.shape != (num_classes, dim):
        raise ValueError(
            f"Text prototypes {path!r} have shape {array.shape}; {num_classes} classes and the "
            f"backbone's {dim} channels need {(num_classes, dim)}."
        )
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


def stand_in_prototypes(num_classes: int, dim: int) -> Tensor:
    """Orthogonal unit vectors (N, C), the same on every call and machine."""
    if num_classes > dim:
        raise ValueError(f"{num_classes} orthogonal vectors do not fit into {dim} dimensions.")
    generator = torch.Generator().manual_seed(0)
    return nn.init.orthogonal_(torch.empty(num_classes, dim), generator=generator)
