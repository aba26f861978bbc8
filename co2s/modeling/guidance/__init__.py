"""Class guidance: one vector for each class, from text or learned."""

from .build import GUIDANCE_REGISTRY, build_guidance
from .queries import LearnableQueries
from .text import TextPrototypes

__all__ = ["GUIDANCE_REGISTRY", "LearnableQueries", "TextPrototypes", "build_guidance"]
