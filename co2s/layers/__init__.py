"""Torch-only building blocks; nothing here knows a configuration."""

from .aspp import ASPP, ResidualASPP, conv_norm_relu
from .class_reasoning import ClassReasoning
from .dropout import channel_dropout, check_dropout
from .resample import resize
from .upsample import Upsample

__all__ = [
    "ASPP",
    "ClassReasoning",
    "ResidualASPP",
    "Upsample",
    "channel_dropout",
    "check_dropout",
    "conv_norm_relu",
    "resize",
]
