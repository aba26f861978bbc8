"""Agreement of two students: who teaches whom, and whose word counts at inference."""

import torch
from torch import Tensor


def who_learns(
    confidence_a: Tensor, confidence_b: Tensor, threshold: float
) -> tuple[Tensor, Tensor]:
    """Pixels where a learns from b, and where b learns from a (paper section 3.3).

    Confidences are (B, H, W). Where neither reaches the threshold nobody learns; else the less
    confident learns from the more confident, and at a tie both learn.
    """
    confident = torch.maximum(confidence_a, confidence_b) >= threshold
    return (
        confident & (confidence_b >= confidence_a),
        confident & (confidence_a >= confidence_b),
    )


def confidence_fusion(*probs: Tensor) -> Tensor:
    """Per pixel the probabilities of the most confident student, of the first at a tie.

    One tensor (..., N, H, W) for each student.
    """
    fused = probs[0]
    for other in probs[1:]:
        surer = other.amax(dim=-3, keepdim=True) > fused.amax(dim=-3, keepdim=True)
        fused = torch.where(surer, other, fused)
    return fused
