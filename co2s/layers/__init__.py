"""Torch-only building blocks; nothing here knows a configuration."""

from .activation import QuickGELU
from .aspp import ASPP, ResidualASPP, conv_norm_relu
from .class_reasoning import ClassReasoning
from .conv import SameConv2d
from .dropout import channel_dropout, check_dropout, complementary_dropout
from .masking import hidden_squares
from .onednn import choose_products
from .resample import resize
from .upsample import Upsample

__all__ = [
    "ASPP",
    "ClassReasoning",
    "QuickGELU",
    "ResidualASPP",
    "SameConv2d",
    "Upsample",
    "channel_dropout",
    "check_dropout",
    "choose_products",
    "complementary_dropout",
    "conv_norm_relu",
    "hidden_squares",
    "resize",
]
