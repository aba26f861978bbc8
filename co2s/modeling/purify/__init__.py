"""Purifiers: pseudo-labels in, better pseudo-labels out, whatever method they are of."""

from .boxes import VLMPurifier, claimed, purified
from .build import PURIFIER_REGISTRY, Purifier, build_purifier

__all__ = ["PURIFIER_REGISTRY", "Purifier", "VLMPurifier", "build_purifier", "claimed", "purified"]
