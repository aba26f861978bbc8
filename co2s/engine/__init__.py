"""Training and scoring: the configuration and set-up of a run, the trainer, its hooks."""

from .checkpoints import WholeCheckpointer
from .config import load_cfg
from .setup import setup
from .trainer import SemiSupervisedTrainer

__all__ = ["SemiSupervisedTrainer", "WholeCheckpointer", "load_cfg", "setup"]
