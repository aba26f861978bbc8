"""Methods: each turns a batch of labelled and unlabelled items into a dict of weighted losses."""

from .base import Method
from .co2s import Co2S
from .fixmatch import FixMatch
from .only_sup import OnlySup
from .unimatch import UniMatch

__all__ = ["Co2S", "FixMatch", "Method", "OnlySup", "UniMatch"]
