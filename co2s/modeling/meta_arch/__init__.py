"""Methods: each turns a batch of labelled and unlabelled items into a dict of weighted losses."""

from .base import Method
from .co2s import Co2S
from .distillation import FeatureDistillation
from .fixmatch import FixMatch
from .masked_image import MaskedImageModeling
from .only_sup import OnlySup
from .pretraining import Pretraining
from .unimatch import UniMatch

__all__ = [
    "Co2S",
    "FeatureDistillation",
    "FixMatch",
    "MaskedImageModeling",
    "Method",
    "OnlySup",
    "Pretraining",
    "UniMatch",
]
