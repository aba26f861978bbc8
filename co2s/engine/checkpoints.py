"""Checkpoints: written whole or not at all, and of the last ones the newest that is whole."""

import logging
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from co2s.d2 import CfgNode, DetectionCheckpointer
from co2s.files import write_text, write_whole

logger = logging.getLogger(__name__)

BEST = "model_best"
TAG = "last_checkpoint"  # the file that names the last checkpoint, as detectron2 has it


class WholeCheckpointer(DetectionCheckpointer):
    """detectron2's checkpointer, of which a kill or a full disk leaves no torn file.

    Where the last checkpoint cannot be read all the same, the one before is gone on from.
    """

    def save(self, name: str, **kwargs: Any) -> None:
        """Write `<save_dir>/<name>.pth`: model, checkpointables and the keywords."""
        if not self.save_dir or not self.save_to_disk:
            return
        states = {key: part.state_dict() for key, part in self.checkpointables.items()}
        content = {"model": self.model.state_dict(), **states, **kwargs}
        path = Path(self.save_dir) / f"{name}.pth"
        self.logger.info("Saving checkpoint to %s", path)
        write_whole(path, lambda draft: torch.save(content, draft))
        self.tag_last_checkpoint(path.name)

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        write_text(Path(self.save_dir) / TAG, last_filename_basename)

    def has_checkpoint(self) -> bool:
        return bool(self.get_checkpoint_file())

    def get_checkpoint_file(self) -> str:
        return newest_whole(self.save_dir)


def last_checkpoint(cfg: CfgNode) -> str:
    """The path of the last checkpoint in OUTPUT_DIR that is whole, "" where there is none."""
    return newest_whole(cfg.OUTPUT_DIR)


def newest_whole(folder: str) -> str:
    """The checkpoint that the tag names, else the newest other one: the first that is whole.

    "" where a folder has no tag: a run that never saved has nothing to go on from.
    """
    tag = Path(folder) / TAG
    if not tag.is_file():
        return ""
    tagged = tag.with_name(tag.read_text(encoding="utf-8").strip())
    others = [path for path in tag.parent.glob("model_*.pth") if path != tagged]
    for path in [tagged, *sorted(others, key=_age)]:
        if is_whole(path):
            return str(path)
        logger.warning("%s is damaged or not there: the checkpoint before it is tried.", path)
    return ""


def is_whole(path: Path) -> bool:
    """Whether a checkpoint has its table of contents, which is written last."""
    return path.is_file() and zipfile.is_zipfile(path)


def best_checkpoint(cfg: CfgNode) -> str:
    """Where the best checkpoint of a run lies, or would lie."""
    return str(Path(cfg.OUTPUT_DIR) / f"{BEST}.pth")


def best_score(path: str) -> dict[str, Any] | None:
    """What a best checkpoint says of itself: {"metric", "value", "iteration"}; None: nothing."""
    if not is_whole(Path(path)):
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


def _age(path: Path) -> tuple[int, float]:
    """Sorts the newest first: by the step in the name, where there is one, else by time."""
    step = re.fullmatch(r"model_(\d+)", path.stem)
    return (-int(step[1]) if step else 0, -path.stat().st_mtime)
