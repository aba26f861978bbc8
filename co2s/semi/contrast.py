"""Contrast between pixels (U2PL, Wang et al., CVPR 2022): who is compared with whom, and the loss.

Rows are pixels, P of them, whatever images they are of.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def default_ranks(num_classes: int) -> tuple[int, int]:
    """U2PL's ranks 3 and 20 of 21 classes for any number: (lowest, first that is too far).

    At least the two most probable classes of a pixel may be its own.
    """
    low = min(max(round(num_classes * 3 / 21), 2), num_classes - 1)
    return low, -(-num_classes * 20 // 21)


def anchors(probs: Tensor, label: Tensor, certain: Tensor, least: float) -> Tensor:
    """Rows that stand for the class of their label, (P, N) bool.

    probs (P, N), label (P,), certain (P,) bool; a row's own class must be more probable than least.
    """
    own = F.one_hot(label, probs.shape[1]).bool()
    return own & certain[:, None] & (probs > least)


def negatives(
    probs: Tensor, label: Tensor, labeled: Tensor, unsure: Tensor, low: int, high: int
) -> Tensor:
    """Rows that are negatives of each class, (P, N) bool; the most probable class has rank 0.

    Unsure (P,) rows: of the classes at ranks in [low, high), which they are surely not, though they
    look like something else. Labelled (P,) rows: of the classes at ranks below low that are not
    their label (P,), which they look like.
    """
    order = probs.argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1)
    own = F.one_hot(label, probs.shape[1]).bool()
    far = unsure[:, None] & (rank >= low) & (rank < high)
    return far | (labeled[:, None] & (rank < low) & ~own)


def centres(features: Tensor, members: Tensor) -> Tensor:
    """The mean (N, R) of the features (P, R) of every class's members (P, N) bool; 0 of none."""
    share = members.to(features.dtype)
    return share.T @ features / share.sum(dim=0).clamp(min=1)[:, None]


def info_nce(rows: Tensor, positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Mean over rows (Q, R) of -log of their share in being alike; cosines over a temperature.

    positive (R,) of all rows, negatives (Q, K, R) of each; 0 where there is none.
    """
    like = F.cosine_similarity(rows, positive[None], dim=1)[:, None]
    unlike = F.cosine_similarity(rows[:, None], negatives, dim=2)
    logits = torch.cat([like, unlike], dim=1) / temperature
    return (logits.logsumexp(dim=1) - logits[:, 0]).mean()


def sample(mask: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Rows (count,) where mask (P,) is True, drawn with replacement; (0,) where none is."""
    found = mask.nonzero().flatten()
    if not len(found):
        return found
    drawn = torch.randint(len(found), (count,), generator=generator)
    return found[drawn.to(found.device)]
