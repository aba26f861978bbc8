"""Students: the networks of a configuration, one or several, and what they predict."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import CfgNode
from co2s.layers import resize
from co2s.semi import EMA, confidence_fusion
from co2s.structures import EvalItem

from ..sliding_window import fit_size, resize_image, sliding_window_logits, window_and_stride
from ..student import Student, build_student
from ..temperature import FUSED, Temperatures


class Students(nn.Module):
    """One student or several, each alone and fused at inference (docs/method.md sections 2, 5)."""

    def __init__(
        self,
        *,
        students: Mapping[str, Student],
        fusion: str = "confidence",
        student_maps: bool = True,
        window: int = 512,
        stride: int = 426,
        window_batch: int = 4,
        test_base_size: tuple[int, int] = (0, 0),
        test_scale: float = 1.0,
        ema_decay: float = 0.0,
    ):
        """fusion: "confidence" (per pixel the most confident student), "mean", or a student.

        ema_decay: above 0, each student has a teacher that is its moving average, and predicts.
        """
        super().__init__()
        known = ("confidence", "mean", *students)
        if fusion not in known:
            raise ValueError(f"MODEL.FUSION is {fusion!r}; it may be {', '.join(known)}.")
        self.students = nn.ModuleDict(students)
        averaged = students.items() if ema_decay else ()
        self.teachers = nn.ModuleDict({name: EMA(s, ema_decay) for name, s in averaged})
        self.temperatures = Temperatures(students)
        self.fusion, self.student_maps = fusion, student_maps
        self.window, self.stride = window, stride
        self.window_batch = window_batch
        self.test_base_size, self.test_scale = test_base_size, test_scale

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        names, (window, stride) = cfg.MODEL.STUDENTS, window_and_stride(cfg)
        return {
            "students": {name: build_student(cfg, cfg.MODEL[name.upper()]) for name in names},
            "fusion": cfg.MODEL.FUSION,
            "student_maps": cfg.MODEL.STUDENT_MAPS,
            "window": window,
            "stride": stride,
            "window_batch": cfg.TEST.WINDOW_BATCH,
            "test_base_size": tuple(cfg.INPUT.TEST_BASE_SIZE),
            "test_scale": cfg.INPUT.TEST_SCALE,
            "ema_decay": cfg.MODEL.EMA_DECAY,
        }

    @property
    def predictors(self) -> nn.ModuleDict:
        """The modules that predict, by the name of their student: teachers where there are any."""
        return self.teachers if len(self.teachers) else self.students

    @property
    def learners(self) -> dict[str, Any]:
        """The `Student`s that are trained, by name."""
        return dict(self.students.items())

    @property
    def networks(self) -> dict[str, Any]:
        """The `Student`s that predict, by name: those of `predictors`, without their average."""
        found = self.predictors.items()
        return {name: part.module if isinstance(part, EMA) else part for name, part in found}

    @property
    def num_bands(self) -> int:
        """Bands of the images that the students take."""
        student: Any = next(iter(self.students.values()))
        return len(student.pixel_mean)

    @property
    def device(self) -> torch.device:
        return next(self.buffers()).device

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load a whole checkpoint, or say why it does not fit.

        Checkpointers leave out what has another shape and ask for no strictness; a model that is
        half at random must not be scored. Teachers that it lacks start as their students,
        and what is `startable` as it does in a new model.
        """
        if not any(key.startswith("teachers.") for key in state_dict):
            state_dict = {**state_dict, **self._as_teachers(state_dict)}
        for prefix, part in self.startable().items():
            if not any(key.startswith(prefix) for key in state_dict):
                state_dict = {**state_dict, **part.state_dict(prefix=prefix)}
        try:
            return super().load_state_dict(state_dict, strict=True, assign=assign)
        except RuntimeError as error:
            raise ValueError(
                "The checkpoint does not fit the model of the configuration. What is missing or "
                "unexpected under `guidance` is another number of classes or another guidance; "
                "under `backbone` another BACKBONE.MODEL; under `head` another HEAD; whole "
                "`students` are another MODEL.STUDENTS, `teachers` another method, `thresholds` "
                "another CLASS_THRESHOLDS; `contrasts` are of U2PL, `second` and `ranks` of DWL, "
                "`attentions` of MUCA; `neck` is another NECK.DIMS; "
                "`projections` are a pretraining's, whose backbones "
                "tools/pretrain.py --export-only writes for BACKBONE.WEIGHTS. Use the "
                f"config.yaml that lies beside the checkpoint.\n{error}"
            ) from error

    def startable(self) -> dict[str, nn.Module]:
        """Parts that a checkpoint may lack, by the prefix of their tensors, as they start."""
        return {"temperatures.": Temperatures(self.students)}

    def _as_teachers(self, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        return {
            f"teachers.{name}.module.{key.removeprefix(prefix)}": value
            for name in self.teachers
            for key, value in state_dict.items()
            if key.startswith(prefix := f"students.{name}.")
        }

    @torch.no_grad()
    def inference(self, items: list[EvalItem]) -> list[dict[str, Tensor]]:
        """For each item {"sem_seg": (N, height, width)} class probabilities of the fusion.

        With `student_maps` also "sem_seg_<name>" of each student; where only one predicts, its
        map is "sem_seg" itself. Where the item says which pixels are "valid" (H, W), so does the
        result, and the others have probability 0. Students are fused as they are; what is returned
        is calibrated afterwards, which changes no pixel's class.
        """
        return [self._predict(item) for item in items]

    def _predict(self, item: EvalItem) -> dict[str, Tensor]:
        image = item["image"].to(self.device)
        height, width = image.shape[-2:]
        size = fit_size(height, width, self.test_base_size, self.test_scale)
        image = resize_image(image, size)
        output = (item.get("height", height), item.get("width", width))
        raw = {
            name: self._probabilities(self.predictors[name], image, output) for name in self.asked
        }
        valid = item.get("valid")
        mask = None if valid is None else _resized(valid, output).to(self.device)
        if mask is not None:
            raw = {name: p * mask for name, p in raw.items()}
        result = self.combined(raw)
        return result if mask is None else result | {"valid": mask}

    @property
    def asked(self) -> list[str]:
        """The students that prediction needs."""
        every = self.student_maps or self.fusion not in self.students
        return [name for name in self.predictors if every or name == self.fusion]

    def combined(self, raw: dict[str, Tensor]) -> dict[str, Tensor]:
        """What `inference` returns, from the probabilities (N, H, W) of the students `asked`."""
        return self._calibrated(raw, self._fuse(raw))

    def _calibrated(self, raw: dict[str, Tensor], fused: Tensor) -> dict[str, Tensor]:
        """The maps as they are returned; "sem_seg" is that of a student where it is its own."""
        own = self.student_maps or len(raw) == 1
        named = {n: self.temperatures(n, p) for n, p in raw.items() if own or p is fused}
        main = next((named[name] for name, p in raw.items() if p is fused), None)
        result = {"sem_seg": self.temperatures(FUSED, fused) if main is None else main}
        return result | {f"sem_seg_{n}": p for n, p in named.items() if own}

    def _probabilities(self, student: nn.Module, image: Tensor, size: tuple[int, int]) -> Tensor:
        logits = sliding_window_logits(
            student, image, size=self.window, stride=self.stride, batch=self.window_batch
        )
        return resize(logits[None], size, align_corners=True)[0].softmax(dim=0)

    def _fuse(self, probs: dict[str, Tensor]) -> Tensor:
        if len(probs) == 1:
            return next(iter(probs.values()))
        if self.fusion == "mean":
            return torch.stack([*probs.values()]).mean(dim=0)
        if self.fusion == "confidence":
            return confidence_fusion(*probs.values())
        return probs[self.fusion]


def _resized(valid: Tensor, size: tuple[int, int]) -> Tensor:
    """valid (H, W) bool at another size."""
    near = F.interpolate(valid[None, None].float(), size, mode="nearest-exact")
    return near[0, 0] > 0
