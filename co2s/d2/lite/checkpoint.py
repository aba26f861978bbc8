"""Saving and loading of models with whatever else a run needs to go on."""

from __future__ import annotations

import pickle
from typing import Any
from urllib.parse import urlparse

import torch
from fvcore.common.checkpoint import Checkpointer
from torch import nn

from . import comm
from .file_io import PathManager
from .logger import get_logger


class DetectionCheckpointer(Checkpointer):
    """fvcore's Checkpointer, written by the main process only, read without running code.

    Reads `.pth` files: {"model": state dict, ...} or a bare state dict. A model wrapped in
    DistributedDataParallel is saved and loaded as if it were not.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        save_to_disk: bool | None = None,
        **checkpointables: Any,
    ) -> None:
        save_to_disk = comm.is_main_process() if save_to_disk is None else save_to_disk
        super().__init__(model, save_dir, save_to_disk=save_to_disk, **checkpointables)
        self.path_manager = PathManager

    def load(self, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load model and checkpointables; returns what else the file holds."""
        get_logger("checkpoint").info("[DetectionCheckpointer] Loading from %s ...", path)
        if path and urlparse(path).query:
            raise ValueError(
                f"Cannot load '{path}': options after '?' (name matching) need detectron2. Install "
                "it, or give the path of a checkpoint of this project."
            )
        return super().load(path, *args, **kwargs)

    def _load_file(self, filename: str) -> dict[str, Any]:
        if filename.endswith((".pkl", ".pyth")):
            raise ValueError(
                f"Cannot load '{filename}': model zoo files (.pkl, .pyth) need detectron2. Install "
                "it, or convert the file to .pth."
            )
        try:
            loaded = torch.load(filename, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise pickle.UnpicklingError(
                f"Cannot load '{filename}': it is damaged, or holds more than tensors and plain "
                "values, which could run code. If you trust it, load it once with "
                f"torch.load(weights_only=False) and save what is needed. ({error})"
            ) from error
        return loaded if "model" in loaded else {"model": loaded}

    def _load_model(self, checkpoint: dict[str, Any]) -> Any:
        incompatible = super()._load_model(checkpoint)
        # Both come from the cfg: a file without them is complete.
        own = dict(self.model.named_buffers(recurse=False))
        for name in {"pixel_mean", "pixel_std"} & {*own} & {*incompatible.missing_keys}:
            incompatible.missing_keys.remove(name)
        return incompatible
