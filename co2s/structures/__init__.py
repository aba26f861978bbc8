"""Plain data structures shared by data, modelling and inference."""

from .items import IGNORE_LABEL, Batch, EvalItem, LabeledItem, UnlabeledItem
from .pseudo_label import PseudoLabel
from .views import Views
from .windows import stride_of, windows

__all__ = [
    "IGNORE_LABEL",
    "Batch",
    "EvalItem",
    "LabeledItem",
    "PseudoLabel",
    "UnlabeledItem",
    "Views",
    "stride_of",
    "windows",
]
