"""Torch-only building blocks; nothing here knows a configuration."""

from .aspp import ASPP, conv_norm_relu
from .class_reasoning import ClassReasoning
from .dropout import channel_dropout
from .resample import resize
from .upsample import Upsample

__all__ = ["ASPP", "ClassReasoning", "Upsample", "channel_dropout", "conv_norm_relu", "resize"]
