"""The algebra of semi-supervision: pure functions over tensors and arrays."""

from .agreement import confidence_fusion, who_learns
from .cutmix import cutmix, cutmix_box
from .losses import pseudo_label_loss, stability_losses, supervised_loss
from .ramp import cosine_ramp

__all__ = [
    "confidence_fusion",
    "cosine_ramp",
    "cutmix",
    "cutmix_box",
    "pseudo_label_loss",
    "stability_losses",
    "supervised_loss",
    "who_learns",
]
