"""AdamW, a learning rate for each part of a student, and its decay (docs/method.md, 4)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from fvcore.common.param_scheduler import (
    CompositeParamScheduler,
    ConstantParamScheduler,
    CosineParamScheduler,
    LinearParamScheduler,
    ParamScheduler,
    PolynomialDecayParamScheduler,
)
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.lr_scheduler import LambdaLR

from co2s.d2 import CfgNode


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.AdamW:
    """One group for each role (backbone, guidance, head), and one for its normalisation layers
    where they have a weight decay of their own.

    A parameter's role is the part of its name that says so, the first in this order; one without a
    role gets the base rate.
    """
    solver = cfg.SOLVER
    multipliers = {
        "extra_bands": 1.0,  # new, in a backbone that is not
        "backbone": solver.BACKBONE_MULTIPLIER,
        "guidance": solver.GUIDANCE_MULTIPLIER,
        "head": solver.HEAD_MULTIPLIER,
        "other": 1.0,
    }
    decays = {False: solver.WEIGHT_DECAY, True: solver.WEIGHT_DECAY}
    if solver.WEIGHT_DECAY_NORM is not None:
        decays[True] = solver.WEIGHT_DECAY_NORM
    groups: dict[tuple[str, float], list[nn.Parameter]] = {}
    for name, parameter, is_norm in _trained(model):
        role = next((role for role in multipliers if role in name.split(".")), "other")
        groups.setdefault((role, decays[is_norm]), []).append(parameter)
    order = sorted(groups, key=lambda key: [*multipliers].index(key[0]))
    optimizer = torch.optim.AdamW(
        [
            {
                "params": groups[role, decay],
                "lr": solver.BASE_LR * multipliers[role],
                "weight_decay": decay,
                "role": role,
            }
            for role, decay in order
        ],
        fused=True,  # one pass over the memory
    )
    if solver.CLIP_GRADIENTS.ENABLED:
        optimizer.register_step_pre_hook(_clipping(solver.CLIP_GRADIENTS))
    return optimizer


def build_lr_scheduler(cfg: CfgNode, optimizer: torch.optim.Optimizer) -> LambdaLR:
    """Each group's rate times the decay at t / T, step by step, after WARMUP_ITERS of warm-up.

    SOLVER.SCHEDULE "poly" is (1 - t / T) ** POLY_POWER, "cosine" is (1 + cos(pi t / T)) / 2. Both
    are 0 after the last step.
    """
    decay = _decay(cfg.SOLVER)
    last, warmup = max(cfg.SOLVER.MAX_ITER, 1), cfg.SOLVER.WARMUP_ITERS
    if warmup:
        decay = _with_warmup(decay, cfg.SOLVER, warmup / last)
    return LambdaLR(optimizer, lambda step: decay(min(step / last, 1.0)))


def _decay(solver: CfgNode) -> ParamScheduler:
    kinds: dict[str, Callable[[], ParamScheduler]] = {
        "poly": lambda: PolynomialDecayParamScheduler(1.0, solver.POLY_POWER),
        "cosine": lambda: CosineParamScheduler(1.0, 0.0),
    }
    if solver.SCHEDULE not in kinds:
        raise ValueError(f"SOLVER.SCHEDULE is '{solver.SCHEDULE}'; it may be {' or '.join(kinds)}.")
    return kinds[solver.SCHEDULE]()


def _with_warmup(decay: ParamScheduler, solver: CfgNode, share: float) -> ParamScheduler:
    """detectron2's warm-up: from WARMUP_FACTOR of the first rate to what the decay has come to."""
    if not share < 1:
        raise ValueError(
            f"SOLVER.WARMUP_ITERS {solver.WARMUP_ITERS} must be fewer than SOLVER.MAX_ITER "
            f"{solver.MAX_ITER}."
        )
    first, method = solver.WARMUP_FACTOR * decay(0.0), solver.WARMUP_METHOD
    kinds: dict[str, Callable[[], ParamScheduler]] = {
        "linear": lambda: LinearParamScheduler(first, decay(share)),
        "constant": lambda: ConstantParamScheduler(first),
    }
    if method not in kinds:
        raise ValueError(f"SOLVER.WARMUP_METHOD is '{method}'; it may be {' or '.join(kinds)}.")
    return CompositeParamScheduler(
        [kinds[method](), decay], lengths=[share, 1 - share], interval_scaling=["rescaled", "fixed"]
    )


def _clipping(node: CfgNode) -> Callable[..., None]:
    """A hook before each step, after a gradient scaler has done its part: clip the gradients.

    "value" and "norm" are of each parameter, as in detectron2, "full_model" is one norm of all.
    """
    clips: dict[str, Callable[[Any], Any]] = {
        "value": partial(clip_grad_value_, clip_value=node.CLIP_VALUE),
        "norm": partial(clip_grad_norm_, max_norm=node.CLIP_VALUE, norm_type=node.NORM_TYPE),
        "full_model": partial(clip_grad_norm_, max_norm=node.CLIP_VALUE, norm_type=node.NORM_TYPE),
    }
    kind = node.CLIP_TYPE
    if kind not in clips:
        raise ValueError(
            f"SOLVER.CLIP_GRADIENTS.CLIP_TYPE is '{kind}'; it may be {', '.join(clips)}."
        )

    def clip(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        every = [p for group in optimizer.param_groups for p in group["params"]]
        for parameters in [every] if kind == "full_model" else every:
            clips[kind](parameters)

    return clip


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """Name, parameter, and whether it is a normalisation layer's; shared ones once."""
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter, "Norm" in type(module).__name__
