"""A file of tools/export.py in ONNX, as a model that predicts."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from co2s.data.spec import RasterSpec
from co2s.inference.products import MapClass
from co2s.optional import import_extra

from .facts import Facts
from .onnx_writer import FACTS


class OnnxModel:
    """Runs in onnxruntime on the CPU, with as many threads as PyTorch has.

    `facts`: everything that the file says of itself. `window`: side of the squares that it takes.
    """

    def __init__(self, path: str | Path) -> None:
        """FileNotFoundError, or ValueError for a file that tools/export.py has not written."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file, seen from {Path.cwd()}.")
        self._session = _session(Path(path))
        self.facts = _facts(self._session, path)
        entry = self._session.get_inputs()[0]
        self._name = entry.name
        self._batch = entry.shape[0] if isinstance(entry.shape[0], int) else 0  # 0: any

    @property
    def num_bands(self) -> int:
        return self.facts.bands

    @property
    def classes(self) -> list[MapClass]:
        return self.facts.classes

    @property
    def raster(self) -> RasterSpec | None:
        """How images are read; None: as 8-bit RGB."""
        return self.facts.carried.raster

    @property
    def resolution(self) -> float | None:
        """Metres on the ground of a pixel of the input."""
        return self.facts.carried.resolution

    @property
    def window(self) -> int:
        return self.facts.tile

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, window, window) in 0..255, of any type -> probabilities (B, N, ., .)."""
        shape = (self.num_bands, self.window, self.window)
        if images.ndim != 4 or tuple(images.shape[1:]) != shape:
            raise ValueError(f"The model takes (B, {shape}), found {tuple(images.shape)}.")
        parts = images.float().cpu().div(255.0).split(self._batch or len(images))
        made = (self._session.run(None, {self._name: part.numpy()})[0] for part in parts)
        return torch.cat([torch.from_numpy(probs) for probs in made])


def _session(path: Path) -> Any:
    ort = import_extra("onnxruntime", "onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's have no type of their own
        raise ValueError(f"{path} cannot be read as ONNX: {error}") from error


def _facts(session: Any, path: str | Path) -> Facts:
    text = session.get_modelmeta().custom_metadata_map.get(FACTS)
    if text is None:
        raise ValueError(
            f"{path} does not say what co2s has to know of it (its metadata lack '{FACTS}'). Take "
            "an ONNX file that tools/export.py has written."
        )
    return Facts.from_dict(json.loads(text))
