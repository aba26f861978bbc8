"""Methods: each turns a batch of labelled and unlabelled items into a dict of weighted losses."""

from .base import Method
from .co2s import Co2S
from .distillation import FeatureDistillation
from .dwl import DWL
from .fixmatch import FixMatch
from .masked_image import MaskedImageModeling
from .muca import MUCA
from .only_sup import OnlySup
from .pretraining import Pretraining
from .rs_mtdf import RSMTDF
from .s4 import S4
from .u2pl import U2PL
from .unimatch import UniMatch
from .unimatch_v2 import UniMatchV2
from .wscl import WSCL

__all__ = [
    "DWL",
    "MUCA",
    "RSMTDF",
    "S4",
    "U2PL",
    "WSCL",
    "Co2S",
    "FeatureDistillation",
    "FixMatch",
    "MaskedImageModeling",
    "Method",
    "OnlySup",
    "Pretraining",
    "UniMatch",
    "UniMatchV2",
]
