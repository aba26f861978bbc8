"""The three losses of Co2S as functions of logits and labels; means run over all processes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from co2s.structures import IGNORE_LABEL, PseudoLabel

from .agreement import who_learns
from .counting import mean_count


def supervised_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross entropy over labelled pixels; 0 where there is none (paper eq. L_sup).

    Logits (B, N, H, W), target (B, H, W) int64 with 255 = ignore.
    """
    total = F.cross_entropy(logits.float(), target, ignore_index=IGNORE_LABEL, reduction="sum")
    return total / mean_count(target != IGNORE_LABEL)


def pseudo_label_loss(logits: Tensor, pseudo: PseudoLabel, threshold: float) -> Tensor:
    """Cross entropy at confident pixels, divided by the number of valid ones (method section 3).

    Logits (B, N, H, W). Pixels below the threshold add nothing to the sum and yet count in the
    mean: an unsure student learns slowly from itself.
    """
    loss = F.cross_entropy(logits.float(), pseudo.label, reduction="none")
    return (loss * pseudo.kept(threshold)).sum() / mean_count(pseudo.valid)


def stability_losses(
    logits_a: Tensor, logits_b: Tensor, valid: Tensor, threshold: float
) -> tuple[Tensor, Tensor]:
    """Squared error between the students' softmaxes where one teaches the other (section 3).

    Logits (B, N, H, W) of both students on the weak view, valid (B, H, W) bool. Returns a's loss
    as a student of b, and b's as a student of a: the gradient of each reaches only its student.
    """
    probs_a, probs_b = logits_a.float().softmax(dim=1), logits_b.float().softmax(dim=1)
    a_learns, b_learns = who_learns(
        probs_a.detach().amax(dim=1), probs_b.detach().amax(dim=1), threshold
    )
    return (
        _masked_mse(probs_a, probs_b.detach(), a_learns & valid),
        _masked_mse(probs_b, probs_a.detach(), b_learns & valid),
    )


def _masked_mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean over the masked pixels and all classes; 0 where no pixel is masked."""
    error = (student - teacher).square().mean(dim=1)
    return torch.where(mask, error, 0.0).sum() / mean_count(mask)
