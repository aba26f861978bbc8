"""Snapshots: a few training batches, stored as the network saw them."""

import copy
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from co2s.d2 import CfgNode, HookBase, MetadataCatalog
from co2s.evaluation import spread
from co2s.files import write_whole
from co2s.modeling.purify import claimed
from co2s.structures import Batch

FOLDER = "snapshots"
ITEMS = 2  # of each half of a batch

logger = logging.getLogger(__name__)


class Snapshots(HookBase):
    """Stores a batch at TEST.SNAPSHOTS moments of a run, start and end among them.

    `<OUTPUT_DIR>/snapshots/step_<number>.npz` holds labelled crops and their classes, the weak and
    strong views with the partners pasted in and their boxes, and how each student labels them with
    the model as it is after the step; with a purifier also what stored boxes say of the weak view,
    and its labels before that. Nothing more is drawn of the data, and no random state
    changes. For the main process. A moment that was taken before a run was cut is not taken again.
    """

    def __init__(
        self,
        method: Any,
        batches: Callable[[], Sequence[Batch]],
        cfg: CfgNode,
    ) -> None:
        """batches: those of the last step of this process."""
        self.method, self.batches = method, batches
        self.folder = Path(cfg.OUTPUT_DIR) / FOLDER
        self.moments = {*spread(cfg.SOLVER.MAX_ITER, cfg.TEST.SNAPSHOTS)}
        metadata = MetadataCatalog.get((*cfg.DATASETS.LABELED, *cfg.DATASETS.UNLABELED)[0])
        self.about = {
            "classes": list(metadata.stuff_classes),
            "colors": [list(color) for color in metadata.stuff_colors],
        }
        self._partners: Any = None

    def before_train(self) -> None:
        if self.trainer.start_iter == 0:
            for path in self.folder.glob("step_*.npz"):  # of another run in this folder
                path.unlink()

    def before_step(self) -> None:
        if self._due():
            # With partners from the batch before, the step itself makes others of them.
            self._partners = copy.copy(self.method.partners)

    def after_step(self) -> None:
        if not self._due():
            return
        try:
            content = self._content()
            write_whole(self._path(), lambda draft: _save(draft, content))
        except OSError as error:  # a picture must not cost the run
            logger.warning("The training batch of this step could not be stored: %s", error)

    def _due(self) -> bool:
        return self.trainer.iter in self.moments and not self._path().is_file()

    def _path(self) -> Path:
        return self.folder / f"step_{self.trainer.iter + 1:07d}.npz"

    def _content(self) -> dict[str, np.ndarray]:
        batch = next(iter(self.batches()))
        present, self.method.partners = self.method.partners, self._partners
        devices = [self.method.device] if self.method.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):
                views = _views(self.method, batch)
        finally:
            self.method.partners = present
        names = {
            "labeled": [item["file_name"] for item in batch["labeled"][:ITEMS]],
            "unlabeled": [item["file_name"] for item in batch["unlabeled"][:ITEMS]],
        }
        about = {"step": self.trainer.iter + 1, "files": names, **self.about}
        return {"about": np.array(json.dumps(about)), **views}


def _views(method: Any, batch: Batch) -> dict[str, np.ndarray]:
    """Arrays by name, of the first ITEMS: images (K, S, S, 3), labels and masks (K, S, S)."""
    arrays: dict[str, Tensor] = {}
    if labeled := batch["labeled"][:ITEMS]:
        arrays["labeled"] = torch.stack([_rgb(item["image"]) for item in labeled])
        arrays["labeled_target"] = torch.stack([item["sem_seg"] for item in labeled]).byte()
    if batch["unlabeled"]:
        u = method.stacked(batch["unlabeled"])  # all of them: each may be another one's partner
        arrays |= {"weak": _rgb(u.weak), "valid": u.valid}
        if u.grounding is not None:
            arrays["boxes_say"] = claimed(u.grounding)
        for number, (strong, box) in enumerate(zip(u.strong, u.boxes, strict=True), start=1):
            arrays |= {f"strong{number}": _rgb(strong), f"box{number}": box}
    for student, labels in method.shown(batch).items():
        for view, label in labels.items():
            arrays[f"label/{student}/{view}"] = label.label.byte()
            arrays[f"kept/{student}/{view}"] = label.kept(method.threshold_of(student))
    return {name: value[:ITEMS].cpu().numpy() for name, value in arrays.items()}


def _rgb(images: Tensor) -> Tensor:
    """(..., C, S, S) -> (..., S, S, 3): the first three bands, or the only one three times."""
    images = images[..., :3, :, :] if images.shape[-3] >= 3 else images[..., [0, 0, 0], :, :]
    return images.movedim(-3, -1)


def _save(path: Path, content: dict[str, np.ndarray]) -> None:
    with open(path, "wb") as file:
        np.savez_compressed(file, **content)  # type: ignore[arg-type]
