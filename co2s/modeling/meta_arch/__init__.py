"""Methods: each turns a batch of labelled and unlabelled items into a dict of weighted losses."""

from .co2s import Co2S
from .only_sup import OnlySup
from .pair import StudentPair

__all__ = ["Co2S", "OnlySup", "StudentPair"]
