"""Seeding of every random generator a training process uses."""

from __future__ import annotations

import os
import random
from datetime import datetime

import numpy as np
import torch

from .logger import get_logger


def seed_all_rng(seed: int | None = None) -> None:
    """Seed Python, numpy and torch (every device); None takes a fresh seed and logs it."""
    if seed is None:
        clock = int(datetime.now().strftime("%S%f"))
        seed = os.getpid() + clock + int.from_bytes(os.urandom(2), "big")
        get_logger("utils.env").info("No seed was given: using %d", seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    os.environ["PYTHONHASHSEED"] = str(seed)
