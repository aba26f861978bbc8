"""What an interrupted run left: its last checkpoint, and the best one with its score."""

import os
from pathlib import Path
from typing import Any

import torch

from co2s.d2 import CfgNode

BEST = "model_best"


def last_checkpoint(cfg: CfgNode) -> str:
    """The path of the last checkpoint in OUTPUT_DIR, "" where there is none."""
    note = Path(cfg.OUTPUT_DIR) / "last_checkpoint"
    return str(note.with_name(note.read_text(encoding="utf-8").strip())) if note.is_file() else ""


def best_checkpoint(cfg: CfgNode) -> str:
    """Where the best checkpoint of a run lies, or would lie."""
    return os.path.join(cfg.OUTPUT_DIR, f"{BEST}.pth")


def best_score(path: str) -> dict[str, Any] | None:
    """What a best checkpoint says of itself: {"metric", "value", "iteration"}; None: nothing."""
    if not os.path.isfile(path):
        return None
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return content.get("score")


def started_from(cfg: CfgNode, weights: str) -> CfgNode:
    """The configuration with other MODEL.WEIGHTS: a checkpoint that brings everything.

    A resumed model needs no pretrained file any more; the configuration that was written down
    stays as it was.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = weights
    cfg.freeze()
    return cfg
