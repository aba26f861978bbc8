"""The algebra of semi-supervision: pure functions over tensors, and a teacher by averaging."""

from .agreement import confidence_fusion, who_learns
from .certainty import entropy, least_certain, most_certain, quantile
from .consistency import (
    certain,
    gaussian_ramp,
    map_consistency,
    map_error,
    prediction_consistency,
)
from .contrast import anchors, centres, default_ranks, info_nce, negatives, sample
from .counting import mean_counts, pixels_by_class, sum_over_processes
from .cutmix import cutmix, cutmix_box
from .drift import count_labels, count_purified, drift_scalars
from .ema import EMA, ema_decay
from .holes import draw_holes
from .losses import (
    pseudo_label_loss,
    stability_loss,
    stability_masks,
    supervised_loss,
    weighted_loss,
)
from .pretraining import cosine_loss, normalized_patches, reconstruction_loss
from .queues import ClassQueues
from .ramp import cosine_ramp
from .ranking import ConfidenceRanks, ranking_weight
from .thresholds import FixedThreshold, build_thresholds

__all__ = [
    "ClassQueues",
    "ConfidenceRanks",
    "EMA",
    "FixedThreshold",
    "anchors",
    "build_thresholds",
    "centres",
    "certain",
    "confidence_fusion",
    "cosine_loss",
    "cosine_ramp",
    "count_labels",
    "count_purified",
    "cutmix",
    "cutmix_box",
    "default_ranks",
    "draw_holes",
    "drift_scalars",
    "ema_decay",
    "entropy",
    "gaussian_ramp",
    "info_nce",
    "least_certain",
    "map_consistency",
    "map_error",
    "mean_counts",
    "most_certain",
    "negatives",
    "normalized_patches",
    "pixels_by_class",
    "prediction_consistency",
    "pseudo_label_loss",
    "quantile",
    "ranking_weight",
    "reconstruction_loss",
    "sample",
    "stability_loss",
    "stability_masks",
    "sum_over_processes",
    "supervised_loss",
    "weighted_loss",
    "who_learns",
]
