"""The standard hooks."""

from .checkpoints import BestCheckpointer, PeriodicCheckpointer
from .evaluation import EvalHook
from .learning_rate import LRScheduler
from .progress import IterationTimer, PeriodicWriter

__all__ = [
    "BestCheckpointer",
    "EvalHook",
    "IterationTimer",
    "LRScheduler",
    "PeriodicCheckpointer",
    "PeriodicWriter",
]
