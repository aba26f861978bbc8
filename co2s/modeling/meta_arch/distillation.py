"""FeatureDistillation: backbones that learn the maps of a frozen, pretrained one."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from co2s.config import add_backbone, method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable
from co2s.layers import resize
from co2s.semi import cosine_loss
from co2s.structures import Views

from ..backbone import DENSE, SKIP_DEEP, SKIP_SHALLOW, settle
from ..metadata import num_bands
from ..student import Student, without_weights
from .encoders import Projection
from .frozen_teacher import MEAN, RGB, STD, build_teacher, check_bands, taught_maps, whole_patches
from .pretraining import Masks, Pretraining
from .stacking import Unlabeled

NODE = "MODEL.DISTILLATION"
MAPS = (DENSE, SKIP_DEEP, SKIP_SHALLOW)
VIEWS = ("strong", "weak")


@method_config
def add_distillation_config(cfg: CfgNode) -> None:
    cfg.MODEL.DISTILLATION = CfgNode()
    node = cfg.MODEL.DISTILLATION
    node.TEACHER = add_backbone(CfgNode(), "TimmViT", "vit_base_patch14_dinov2", [2, 7, 11])
    node.TEACHER_BANDS = RGB  # of the image, as the teacher wants them: red, green, blue
    node.TEACHER_SCALE = 1.0  # of the crop that the teacher sees; then whole patches of it
    node.TEACHER_MEAN = [*MEAN]  # of what the teacher was trained on
    node.TEACHER_STD = [*STD]
    node.VIEW = "strong"  # that the students see, or "weak"; the teacher sees the weak one
    node.MAPS = ("dense",)  # that are learned; also "skip_deep", "skip_shallow"


@META_ARCH_REGISTRY.register()
class FeatureDistillation(Pretraining):
    """L = 1 - cos(linear(map of a student), same map of the teacher), mean over valid pixels.

    The cosine has no scale: it is the same loss for any teacher, whether its maps are normalised
    tokens (DINO) or unit vectors (CLIP), and no few tokens of great length decide it. A map is
    resized to the teacher's grid after its linear layer.
    """

    @configurable
    def __init__(
        self,
        *,
        teacher: Student,
        bands: Sequence[int],
        side: int,
        strong: bool,
        maps: Sequence[str],
        **base: Any,
    ):
        """teacher: of the image's `bands`, resized to a square of that side in pixels.

        strong: whether students see the strong view.
        """
        super().__init__(**base)
        self.teacher = teacher
        self.bands, self.side = [*bands], side
        self.strong, self.maps = strong, [*maps]
        shapes: Any = teacher.backbone.output_shape()
        self.projections = nn.ModuleDict()
        for name, student in self.encoders.items():
            own = student.backbone.output_shape()
            parts = {key: Projection(own[key].channels, shapes[key].channels) for key in maps}
            self.projections[name] = nn.ModuleDict(parts)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        node, crop = cfg.MODEL.DISTILLATION, cfg.INPUT.CROP_SIZE
        base = super().from_config(cfg)
        for name, student in base["students"].items():
            check_crop(crop, student.backbone.size_divisibility, name)
        teacher = own_teacher(cfg)
        return base | {
            "teacher": teacher,
            "bands": node.TEACHER_BANDS,
            "side": whole_patches(crop * node.TEACHER_SCALE, teacher.backbone.size_divisibility),
            "strong": node.VIEW == "strong",
            "maps": node.MAPS,
        }

    @classmethod
    def settle(cls, cfg: CfgNode) -> None:
        super().settle(cfg)
        check_keys(cfg)
        settle(cfg.MODEL.DISTILLATION.TEACHER)

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        return Views(strong=int(cfg.MODEL.DISTILLATION.VIEW == "strong"), labeled=False)

    def masks(self, u: Unlabeled) -> dict[str, Tensor]:
        return {"valid": u.valid}

    def terms(self, u: Unlabeled, masks: Masks, n: Masks) -> dict[str, Tensor]:
        taught = self.taught(u.weak)
        seen = u.strong[0] if self.strong else u.weak
        losses = {}
        for name, student in self.encoders.items():
            maps = student.features(seen)
            for key in self.maps:
                own = self.projections[name].get_submodule(key)(maps[key])
                own = resize(own, taught[key].shape[-2:], align_corners=False)
                loss = cosine_loss(own, taught[key], masks["valid"], n["valid"])
                losses[f"loss_{key}_{name}"] = loss / len(taught)
        return losses

    def taught(self, weak: Tensor) -> dict[str, Tensor]:
        """The maps that the teacher has of images (B, C, S, S)."""
        maps = taught_maps(self.teacher, weak, self.bands, self.side)
        return {key: maps[key] for key in self.maps}

    def train(self, mode: bool = True) -> "FeatureDistillation":
        super().train(mode)
        self.teacher.eval()
        return self


def own_teacher(cfg: CfgNode) -> Student:
    """The teacher with its own bands and statistics; a checkpoint brings it, too."""
    keys = cfg.MODEL.DISTILLATION
    node = without_weights(keys.TEACHER) if cfg.MODEL.WEIGHTS else keys.TEACHER
    names = f"{NODE}.TEACHER_MEAN", f"{NODE}.TEACHER_STD"
    bands, statistics = len(keys.TEACHER_BANDS), (keys.TEACHER_MEAN, keys.TEACHER_STD)
    return build_teacher(cfg, node, bands, *statistics, names)


def check_keys(cfg: CfgNode) -> None:
    """ValueError for keys of the method that cannot be."""
    node, bands = cfg.MODEL.DISTILLATION, num_bands(cfg)
    if node.VIEW not in VIEWS:
        raise ValueError(f"{NODE}.VIEW is '{node.VIEW}'; it may be {' or '.join(VIEWS)}.")
    if DENSE not in node.MAPS or not {*node.MAPS} <= {*MAPS}:
        raise ValueError(
            f"{NODE}.MAPS is {tuple(node.MAPS)}; name 'dense' and, besides, any of {MAPS[1:]}."
        )
    check_bands(node.TEACHER_BANDS, bands, f"{NODE}.TEACHER_BANDS")
    if not node.TEACHER_SCALE > 0:
        raise ValueError(f"{NODE}.TEACHER_SCALE is {node.TEACHER_SCALE}; it must be above 0.")
    if not (node.TEACHER.BACKBONE.WEIGHTS or cfg.MODEL.WEIGHTS):
        raise ValueError(
            f"{NODE}.TEACHER.BACKBONE.WEIGHTS is empty, and a teacher without pretrained weights "
            "has nothing to teach. Give a file, or a name of published weights (docs/weights.md)."
        )


def check_crop(crop: int, patch: int, name: str) -> None:
    """ValueError where a student pads the crop: its map would cover more than the teacher's."""
    if patch and crop % patch:
        less, more = crop // patch * patch, (crop // patch + 1) * patch
        raise ValueError(
            f"INPUT.CROP_SIZE {crop} is not whole patches of {patch} pixels of "
            f"MODEL.{name.upper()}, as FeatureDistillation wants it. Set it to {less or more} or "
            f"{more}."
        )
