"""StudentPair: what every two-student method shares, and all of it at inference."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import CfgNode, configurable
from co2s.layers import resize
from co2s.semi import confidence_fusion

from ..sliding_window import fit_size, resize_image, sliding_window_logits
from ..student import Student, build_student

FUSIONS = ("confidence", "mean", "global", "local")


class StudentPair(nn.Module):
    """A global and a local student, and their fused prediction (method sections 2 and 5).

    In training mode `forward` takes {"labeled": items, "unlabeled": items} and returns a dict of
    weighted losses; in evaluation mode it takes a list of items as in detectron2. The items' keys
    are written in `co2s.data`.
    """

    @configurable
    def __init__(
        self,
        *,
        global_student: Student,
        local_student: Student,
        fusion: str = "confidence",
        student_maps: bool = True,
        window: int = 512,
        stride_ratio: float = 5 / 6,
        window_batch: int = 4,
        test_base_size: tuple[int, int] = (0, 0),
        test_scale: float = 1.0,
    ):
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"MODEL.CO2S.FUSION is {fusion!r}; it may be {', '.join(FUSIONS)}.")
        self.students = nn.ModuleDict({"global": global_student, "local": local_student})
        self.fusion, self.student_maps = fusion, student_maps
        self.window, self.stride = window, max(int(window * stride_ratio), 1)
        self.window_batch = window_batch
        self.test_base_size, self.test_scale = test_base_size, test_scale

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        return {
            "global_student": build_student(cfg, cfg.MODEL.GLOBAL),
            "local_student": build_student(cfg, cfg.MODEL.LOCAL),
            "fusion": cfg.MODEL.CO2S.FUSION,
            "student_maps": cfg.MODEL.CO2S.STUDENT_MAPS,
            "window": cfg.INPUT.CROP_SIZE,
            "stride_ratio": cfg.TEST.STRIDE_RATIO,
            "window_batch": cfg.TEST.WINDOW_BATCH,
            "test_base_size": tuple(cfg.INPUT.TEST_BASE_SIZE),
            "test_scale": cfg.INPUT.TEST_SCALE,
        }

    @property
    def device(self) -> torch.device:
        return next(self.buffers()).device

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load a whole checkpoint, or say why it does not fit.

        Checkpointers leave out what has another shape and ask for no strictness; a pair that is
        half at random must not be scored.
        """
        try:
            return super().load_state_dict(state_dict, strict=True, assign=assign)
        except RuntimeError as error:
            raise RuntimeError(
                "The checkpoint does not fit the model of the configuration. What is missing or "
                "unexpected under `guidance` is another number of classes or another guidance; "
                "under `backbone` another BACKBONE.MODEL; under `head` another HEAD. Use the "
                f"config.yaml that lies beside the checkpoint.\n{error}"
            ) from error

    def forward(self, batch: Any) -> Any:
        return self.losses(batch) if self.training else self.inference(batch)

    def losses(self, batch: dict[str, list[dict[str, Any]]]) -> dict[str, Tensor]:
        """Weighted losses named `loss_<term>_<student>`; each method writes its own."""
        raise NotImplementedError

    @torch.no_grad()
    def inference(self, items: list[dict[str, Any]]) -> list[dict[str, Tensor]]:
        """For each item {"sem_seg": (N, height, width)} class probabilities of the fusion.

        With `student_maps` also "sem_seg_global" and "sem_seg_local". Where the item says which
        pixels are "valid" (H, W), so does the result, and the others have probability 0.
        """
        return [self._predict(item) for item in items]

    def _predict(self, item: dict[str, Any]) -> dict[str, Tensor]:
        image = item["image"].to(self.device)
        height, width = image.shape[-2:]
        size = fit_size(height, width, self.test_base_size, self.test_scale)
        image = resize_image(image, size)
        output = (item.get("height", height), item.get("width", width))
        probs = {
            name: self._probabilities(student, image, output)
            for name, student in self.students.items()
            if self.student_maps or self.fusion not in self.students or self.fusion == name
        }
        result = {"sem_seg": self._fuse(probs)}
        if self.student_maps:
            result.update({f"sem_seg_{name}": p for name, p in probs.items()})
        return result if item.get("valid") is None else mask_invalid(result, item["valid"])

    def _probabilities(self, student: nn.Module, image: Tensor, size: tuple[int, int]) -> Tensor:
        logits = sliding_window_logits(
            student, image, size=self.window, stride=self.stride, batch=self.window_batch
        )
        return resize(logits[None], size, align_corners=True)[0].softmax(dim=0)

    def _fuse(self, probs: dict[str, Tensor]) -> Tensor:
        if self.fusion == "confidence":
            return confidence_fusion(probs["global"], probs["local"])
        if self.fusion == "mean":
            return (probs["global"] + probs["local"]) / 2
        return probs[self.fusion]


def mask_invalid(result: dict[str, Tensor], valid: Tensor) -> dict[str, Tensor]:
    """The result with "valid" (H, W) bool at its size, and zeros wherever that is False."""
    first = next(iter(result.values()))
    near = F.interpolate(valid[None, None].float(), first.shape[-2:], mode="nearest-exact")
    mask = (near[0, 0] > 0).to(first.device)
    return {name: probs * mask for name, probs in result.items()} | {"valid": mask}


def stack(items: list[dict[str, Any]], key: str, device: torch.device) -> Tensor:
    """One tensor (B, ...) of a key of all items, on a device."""
    return torch.stack([item[key] for item in items]).to(device, non_blocking=True)
