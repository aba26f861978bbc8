"""Checkpoints: written whole or not at all, and of the last ones the newest that is whole."""

import functools
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from co2s.d2 import CfgNode, DetectionCheckpointer, comm
from co2s.files import is_draft, write_text, write_whole

logger = logging.getLogger(__name__)

BEST = "model_best"
TAG = "last_checkpoint"  # the file that names the last checkpoint, as detectron2 has it
# What else tells of one run; a fresh one begins without.
OF_A_RUN = (
    "report.json",
    "metrics.json",
    "bad_files.json",
    "trackers.json",
    "calibration.json",
    "twin.json",
)
FORMER = "former"  # the folder for what a run of before has left in OUTPUT_DIR


class WholeCheckpointer(DetectionCheckpointer):
    """detectron2's checkpointer, of which a kill or a full disk leaves no torn file.

    Where the last checkpoint cannot be read all the same, the one before is gone on from. `facts`
    go into every checkpoint, by their key.
    """

    facts: Mapping[str, Any] = MappingProxyType({})

    def save(self, name: str, **kwargs: Any) -> None:
        """Write `<save_dir>/<name>.pth`: model, checkpointables, facts and the keywords."""
        if not self.save_dir or not self.save_to_disk:
            return
        states = {key: part.state_dict() for key, part in self.checkpointables.items()}
        content = {"model": self.model.state_dict(), **states, **self.facts, **kwargs}
        path = Path(self.save_dir) / f"{name}.pth"
        self.logger.info("Saving checkpoint to %s", path)
        write_whole(path, lambda draft: torch.save(content, draft))
        self.tag_last_checkpoint(path.name)

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        write_text(Path(self.save_dir) / TAG, last_filename_basename)

    def has_checkpoint(self) -> bool:
        return bool(self.get_checkpoint_file())

    def get_checkpoint_file(self) -> str:
        return agreed_checkpoint(self.save_dir)


def last_checkpoint(cfg: CfgNode) -> str:
    """The path of the last checkpoint in OUTPUT_DIR that is whole, "" where there is none.

    All processes call it together.
    """
    return agreed_checkpoint(cfg.OUTPUT_DIR)


def agreed_checkpoint(folder: str) -> str:
    """What the main process finds with `newest_whole`, on all processes.

    FileNotFoundError where another process does not see that file.
    """
    found = newest_whole(folder) if comm.is_main_process() else ""
    path = comm.all_gather(found)[0]
    if path and not Path(path).is_file():
        raise FileNotFoundError(
            f"Process {comm.get_rank()} does not see {path}, which the main process goes on from. "
            "OUTPUT_DIR must lie on a disk that all machines share."
        )
    return path


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
    """Whether a checkpoint is complete: its table of contents, and every checksum in it."""
    if not path.is_file():
        return False
    status = path.stat()
    return _is_sound(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache
def _is_sound(path: Path, _changed: int, _size: int) -> bool:
    """Reads all of a file, once: a start asks several times."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return False


def numbered(folder: Path) -> dict[int, Path]:
    """The checkpoints that are named by their step, by that number."""
    found = {_step(path): path for path in folder.glob("model_*.pth")}
    return {step: path for step, path in found.items() if step is not None}


def clear_drafts(folder: Path) -> None:
    """Remove the unfinished files that a killed run has left in its OUTPUT_DIR."""
    for path in (*folder.glob(".*"), *folder.glob("inference/*/.*")):
        if is_draft(path):
            logger.warning("Removed %s: a run was ended while it wrote that file.", path)
            path.unlink(missing_ok=True)


def put_aside(folder: Path) -> None:
    """Move the checkpoints, exports, scalars and report of another run in `folder` into `former`.

    The tag goes first: what is left of a run after a kill must not pass for one to resume.
    """
    files = [*folder.glob("model_*.pth"), *folder.glob("backbone_*.safetensors")]
    names = [TAG, *OF_A_RUN, *sorted(path.name for path in files)]
    moved = [name for name in names if (folder / name).is_file()]
    for name in moved:
        (folder / FORMER).mkdir(exist_ok=True)
        os.replace(folder / name, folder / FORMER / name)
    if moved:
        logger.warning(
            "%s held another run: %s are in %s now.", folder, ", ".join(moved), folder / FORMER
        )


def best_checkpoint(cfg: CfgNode) -> str:
    """Where the best checkpoint of a run lies, or would lie."""
    return str(Path(cfg.OUTPUT_DIR) / f"{BEST}.pth")


def best_score(path: str) -> dict[str, Any] | None:
    """What a best checkpoint says of itself: {"metric", "value", "iteration"}; None: nothing."""
    if not is_whole(Path(path)):
        if Path(path).exists():
            logger.warning("%s is damaged: the best model is lost.", path)
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
    return (-(_step(path) or 0), -path.stat().st_mtime)


def _step(path: Path) -> int | None:
    """The step in a checkpoint's name; None: it is named otherwise."""
    found = re.fullmatch(r"model_(\d+)", path.stem)
    return int(found[1]) if found else None
