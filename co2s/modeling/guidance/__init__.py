"""Class guidance: one vector for each class, from text or learned."""

from .build import GUIDANCE_REGISTRY, build_guidance
from .none import NoGuidance
from .queries import LearnableQueries
from .text import FROM_CHECKPOINT, TextPrototypes

__all__ = [
    "FROM_CHECKPOINT",
    "GUIDANCE_REGISTRY",
    "LearnableQueries",
    "NoGuidance",
    "TextPrototypes",
    "build_guidance",
]
