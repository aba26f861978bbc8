"""Networks as prediction uses them: logits of windows, and maps from blended logits."""

import itertools
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from co2s.modeling.meta_arch.students import Students

from .export.onnx_file import OnnxModel

MAIN = "sem_seg"  # the map that counts, as detectron2 calls it


class Network(Protocol):
    """A model whose windows can be blended."""

    num_bands: int
    num_classes: int
    names: list[str]  # of the students whose logits it gives

    def logits(self, images: Tensor) -> Tensor:
        """Images (B, C, h, w) in 0..255 -> logits (B, S * N, h, w), student after student."""

    def maps(self, logits: Tensor) -> dict[str, Tensor]:
        """Logits (S * N, r, w) -> probabilities (N, r, w): "sem_seg", "sem_seg_<student>"."""


class StudentsNetwork:
    """The students of a configuration, each window seen once, or eight times (`tta`)."""

    def __init__(self, model: Students, num_classes: int, tta: bool = False) -> None:
        self.model, self.num_classes, self.tta = model, num_classes, tta
        self.names, self.num_bands = model.asked, model.num_bands

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        images = images.to(self.model.device, non_blocking=True)
        return torch.cat([self._of(name, images) for name in self.names], dim=1).cpu()

    def _of(self, name: str, images: Tensor) -> Tensor:
        student = self.model.predictors[name]
        if not self.tta:
            return student(images)
        return torch.stack([undo(student(do(images, *how)), *how) for how in EIGHT]).mean(dim=0)

    @torch.inference_mode()
    def maps(self, logits: Tensor) -> dict[str, Tensor]:
        parts = logits.split(self.num_classes)
        raw = {n: part.softmax(dim=0) for n, part in zip(self.names, parts, strict=True)}
        return self.model.combined(raw)


class OnnxNetwork:
    """An exported model: one prediction, on windows of one size."""

    def __init__(self, model: OnnxModel) -> None:
        self.model, self.names = model, [MAIN]
        self.num_bands, self.num_classes = model.num_bands, len(model.classes)

    def logits(self, images: Tensor) -> Tensor:
        """Logarithms of the probabilities; images smaller than a window are filled up with 0."""
        height, width = images.shape[-2:]
        side = self.model.window
        filled = F.pad(images, (0, side - width, 0, side - height))
        return self.model(filled)[..., :height, :width].clamp(min=1e-12).log()

    def maps(self, logits: Tensor) -> dict[str, Tensor]:
        return {MAIN: logits.softmax(dim=0)}


# Quarter turns, and whether the image is mirrored first.
EIGHT = list(itertools.product(range(4), (False, True)))


def do(images: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Images (..., h, w), mirrored and turned."""
    return torch.rot90(images.flip(-1) if mirrored else images, turns, (-2, -1))


def undo(maps: Tensor, turns: int, mirrored: bool) -> Tensor:
    """The reverse of `do`."""
    maps = torch.rot90(maps, -turns, (-2, -1))
    return maps.flip(-1) if mirrored else maps
