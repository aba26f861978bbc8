"""Scores, tables and pictures of predictions. All scores are percentages."""

from .confusion import confusion_matrix, scores
from .curves import write_curves
from .evaluator import MAIN, SegmentationEvaluator
from .heatmap import write_confusion
from .panels import PanelWriter, spread
from .pictures import write_run_pictures

__all__ = [
    "MAIN",
    "PanelWriter",
    "SegmentationEvaluator",
    "confusion_matrix",
    "scores",
    "spread",
    "write_confusion",
    "write_curves",
    "write_run_pictures",
]
