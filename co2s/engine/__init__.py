"""Training and scoring: the trainer, its hooks and the set-up of a run."""

from .score import score
from .setup import resolve, setup
from .trainer import SemiSupervisedTrainer

__all__ = ["SemiSupervisedTrainer", "resolve", "score", "setup"]
