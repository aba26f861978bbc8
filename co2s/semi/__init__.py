"""The algebra of semi-supervision: pure functions over tensors, and a teacher by averaging."""

from .agreement import confidence_fusion, who_learns
from .counting import mean_counts
from .cutmix import cutmix, cutmix_box
from .ema import EMA, ema_decay
from .losses import pseudo_label_loss, stability_loss, stability_masks, supervised_loss
from .ramp import cosine_ramp

__all__ = [
    "EMA",
    "confidence_fusion",
    "cosine_ramp",
    "cutmix",
    "cutmix_box",
    "ema_decay",
    "mean_counts",
    "pseudo_label_loss",
    "stability_loss",
    "stability_masks",
    "supervised_loss",
    "who_learns",
]
