"""How a student is run: in which precision, what is recomputed, what is compiled.

None of it changes a parameter, a name in a checkpoint, or what is computed.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    CheckpointImpl,
    checkpoint_wrapper,
)

from co2s.d2 import CfgNode

PARTS = ("backbone", "head")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
RECOMPUTED = ("none", "mlp", "block")


def autocast(like: Tensor, dtype: torch.dtype | None) -> AbstractContextManager:
    """Mixed precision on the device of a tensor; None: whatever the caller has."""
    return nullcontext() if dtype is None else torch.autocast(like.device.type, dtype)


def precisions(cfg: CfgNode) -> dict[str, torch.dtype | None]:
    """The type in which each of PARTS computes; None: float32.

    ValueError for an unknown type or part.
    """
    amp = cfg.SOLVER.AMP
    if amp.DTYPE not in DTYPES:
        raise ValueError(f"SOLVER.AMP.DTYPE is '{amp.DTYPE}'; it may be {', '.join(DTYPES)}.")
    if not amp.PARTS or not {*amp.PARTS} <= {*PARTS}:
        raise ValueError(f"SOLVER.AMP.PARTS is {tuple(amp.PARTS)}; name one of {PARTS}, or both.")
    chosen = amp.PARTS if amp.ENABLED else ()
    return {part: DTYPES[amp.DTYPE] if part in chosen else None for part in PARTS}


def recompute(student: Any, what: str) -> None:
    """Activation checkpointing: what is computed again in the backward pass instead of kept.

    "mlp": the feed-forward half of every layer of the backbone, the most memory for the least time;
    "block": whole layers; both with the stages of the decoder. ValueError for anything else.
    """
    if what not in RECOMPUTED:
        raise ValueError(
            f"MODEL.ACTIVATION_CHECKPOINTING is '{what}'; it may be {', '.join(RECOMPUTED)}."
        )
    if what == "none":
        return
    for parent, name in [*_layers(student.backbone, what), *_stages(student.head)]:
        part = getattr(parent, name)
        wrapped = checkpoint_wrapper(part, CheckpointImpl.NO_REENTRANT)
        setattr(parent, name, wrapped)


def compile_student(student: Any, **options: Any) -> None:
    """torch.compile for every layer of the backbone, which share one compilation, and the stages of
    the decoder; options: more of its arguments."""
    for parent, name in [*_layers(student.backbone, "block"), *_stages(student.head)]:
        getattr(parent, name).compile(**options)


def _layers(backbone: nn.Module, what: str) -> Iterator[tuple[nn.Module, str]]:
    """(parent, name) of all transformer layers, or of the MLP in each: the modules with `attn`."""
    for path, module in backbone.named_modules():
        if isinstance(getattr(module, "attn", None), nn.Module):
            parent, _, name = path.rpartition(".")
            yield (module, "mlp") if what == "mlp" else (backbone.get_submodule(parent), name)


def _stages(head: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """(parent, name) of a decoder's parts that are worth it: those with convolutions in them."""
    for name, child in head.named_children():
        if any(isinstance(module, nn.GroupNorm) for module in child.modules()):
            yield head, name
