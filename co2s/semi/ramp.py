"""Ramps: weights as functions of training progress in [0, 1]."""

import math


def cosine_ramp(progress: float, length: float) -> float:
    """Half a cosine from 0 to 1 over the first `length` of training, then 1 (method section 3)."""
    if length <= 0 or progress >= length:
        return 1.0
    return 0.5 * (1.0 - math.cos(math.pi * max(progress, 0.0) / length))
