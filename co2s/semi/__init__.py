"""The algebra of semi-supervision: pure functions over tensors, and a teacher by averaging."""

from .agreement import confidence_fusion, who_learns
from .counting import mean_counts, pixels_by_class, sum_over_processes
from .cutmix import cutmix, cutmix_box
from .drift import count_labels, drift_scalars
from .ema import EMA, ema_decay
from .losses import pseudo_label_loss, stability_loss, stability_masks, supervised_loss
from .pretraining import cosine_loss, normalized_patches, reconstruction_loss
from .ramp import cosine_ramp
from .thresholds import FixedThreshold, build_thresholds

__all__ = [
    "EMA",
    "FixedThreshold",
    "build_thresholds",
    "confidence_fusion",
    "cosine_loss",
    "cosine_ramp",
    "count_labels",
    "cutmix",
    "cutmix_box",
    "drift_scalars",
    "ema_decay",
    "mean_counts",
    "normalized_patches",
    "pixels_by_class",
    "pseudo_label_loss",
    "reconstruction_loss",
    "stability_loss",
    "stability_masks",
    "sum_over_processes",
    "supervised_loss",
    "who_learns",
]
