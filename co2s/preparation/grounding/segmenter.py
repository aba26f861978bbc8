"""SAM: the pixels inside a box that are the thing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from co2s.data.grounding import Box

from .pretrained import loaded, transformers, version

TOGETHER = 64  # boxes of an image that pass the decoder at once


class Sam:
    """A segmenter with its processor."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model.eval(), processor
        self.name = self.version = ""

    @classmethod
    def load(cls, name: str, device: str, revision: str | None = None) -> "Sam":
        """From a folder, or the name of published weights; OSError where they cannot be had."""
        library = transformers()
        model = loaded(library.SamModel, name, revision=revision)
        found = cls(model.to(device), loaded(library.SamProcessor, name, revision=revision))
        found.name, found.version = name, version(name, model.config)
        return found

    @torch.no_grad()
    def masks(self, image: np.ndarray, boxes: Sequence[Box]) -> list[np.ndarray]:
        """(H, W) bool for each box of an image (H, W, 3) uint8."""
        picture = Image.fromarray(np.ascontiguousarray(image))
        found: list[np.ndarray] = []
        for start in range(0, len(boxes), TOGETHER):
            part = [[*box.corners] for box in boxes[start : start + TOGETHER]]
            inputs = self.processor(picture, input_boxes=[part], return_tensors="pt")
            inputs = {key: _single(value).to(self.model.device) for key, value in inputs.items()}
            sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
            logits = self.model(**inputs, multimask_output=False).pred_masks
            (masks,) = self.processor.image_processor.post_process_masks(
                logits.cpu(), *(size.cpu() for size in sizes)
            )
            found += [*masks[:, 0].numpy().astype(bool)]
        return found


def encoded(mask: np.ndarray) -> dict[str, Any]:
    """(H, W) bool as COCO's compressed RLE, in values that JSON has."""
    runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [*mask.shape], "counts": runs["counts"].decode("ascii")}


def _single(value: torch.Tensor) -> torch.Tensor:
    """Boxes come in double precision, which no model of single precision takes."""
    return value.float() if value.dtype == torch.float64 else value
