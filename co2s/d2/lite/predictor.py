"""One image in, one prediction out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from .catalog import MetadataCatalog
from .checkpoint import DetectionCheckpointer
from .config import CfgNode
from .modeling import build_model


class DefaultPredictor:
    """The model of a cfg with its weights, for single images as OpenCV reads them (BGR).

    `metadata` is that of the first test data set, where the cfg names one.
    """

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg.clone()
        self.input_format = cfg.INPUT.FORMAT
        assert self.input_format in ("RGB", "BGR"), (
            f"INPUT.FORMAT must be RGB or BGR, got '{self.input_format}'."
        )
        self.model = build_model(self.cfg)
        self.model.eval()
        if cfg.DATASETS.TEST:
            self.metadata = MetadataCatalog.get(cfg.DATASETS.TEST[0])
        DetectionCheckpointer(self.model).load(cfg.MODEL.WEIGHTS)

    @torch.no_grad()
    def __call__(self, original_image: np.ndarray) -> dict[str, Any]:
        """The model's output for a BGR image `(H, W, 3)`.

        The model gets it as float32 `(3, h, w)`, in the channel order INPUT.FORMAT, its shortest
        edge INPUT.MIN_SIZE_TEST pixels long (0: as it is) and its longest at most
        INPUT.MAX_SIZE_TEST; "height" and "width" are those of the original.
        """
        image = original_image[:, :, ::-1] if self.input_format == "RGB" else original_image
        height, width = image.shape[:2]
        shortest = self.cfg.INPUT.MIN_SIZE_TEST
        if shortest > 0:
            image = _resize(
                image, *_new_size(height, width, shortest, self.cfg.INPUT.MAX_SIZE_TEST)
            )
        tensor = torch.as_tensor(image.astype("float32").transpose(2, 0, 1))
        return self.model([{"image": tensor, "height": height, "width": width}])[0]


def _new_size(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    scale = shortest / min(height, width)
    scale = min(scale, longest / max(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear: 8-bit images as Pillow does it (antialiased), others as torch does it (not)."""
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    batch = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    batch = F.interpolate(batch, (height, width), mode="bilinear", align_corners=False)
    return batch[0].permute(1, 2, 0).numpy()
