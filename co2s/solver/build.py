"""AdamW, one learning rate for each part of a student, polynomial decay (method section 4)."""

import torch
from fvcore.common.param_scheduler import PolynomialDecayParamScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from co2s.d2 import CfgNode


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.AdamW:
    """One group for each role (backbone, guidance, head); weight decay on every parameter.

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
    groups: dict[str, list[nn.Parameter]] = {role: [] for role in multipliers}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            role = next((role for role in multipliers if role in name.split(".")), "other")
            groups[role].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[role], "lr": solver.BASE_LR * multiplier, "role": role}
            for role, multiplier in multipliers.items()
            if groups[role]
        ],
        weight_decay=solver.WEIGHT_DECAY,
    )


def build_lr_scheduler(cfg: CfgNode, optimizer: torch.optim.Optimizer) -> LambdaLR:
    """Each group's rate times (1 - t / T) ** power, step by step; no warm-up."""
    decay = PolynomialDecayParamScheduler(1.0, cfg.SOLVER.POLY_POWER)
    last = max(cfg.SOLVER.MAX_ITER, 1)
    return LambdaLR(optimizer, lambda step: decay(min(step / last, 1.0)))
