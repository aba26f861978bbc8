"""Torch-only building blocks; nothing here knows a configuration."""

from .activation import QuickGELU
from .aspp import ASPP, ResidualASPP, conv_norm_relu
from .channel_attention import ChannelCrossAttention, same_scale
from .class_reasoning import ClassReasoning
from .conv import SameConv2d
from .dropout import channel_dropout, check_dropout, complementary_dropout
from .masking import hidden_squares
from .noise import item_noise
from .onednn import choose_products
from .resample import resize
from .translators import Translators
from .upsample import Upsample
from .warping import draw_affine, to_grid, warp

__all__ = [
    "ASPP",
    "ChannelCrossAttention",
    "ClassReasoning",
    "QuickGELU",
    "ResidualASPP",
    "SameConv2d",
    "Translators",
    "Upsample",
    "channel_dropout",
    "check_dropout",
    "choose_products",
    "complementary_dropout",
    "conv_norm_relu",
    "draw_affine",
    "hidden_squares",
    "item_noise",
    "resize",
    "same_scale",
    "to_grid",
    "warp",
]
