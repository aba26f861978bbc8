"""A pair of the authors' files -> the state dict of one co2s model, and its configuration."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from co2s.d2 import CfgNode, build_model
from co2s.modeling.student import without_pretraining
from co2s.modeling.weights import WeightsError

from .checks import check_classes, check_crop, check_grid, check_masks, check_periods
from .files import FILES, listed, read_student
from .names import rename

# What the release computes with, whatever the weights were trained with (method section 8).
ACTIVATION = "gelu"
LAYER_NORM_EPS = 1e-6
LOGITS_SIZE = {"global": 224, "local": 256}


def convert(
    cfg: CfgNode, global_file: str | Path, local_file: str | Path
) -> tuple[dict[str, Tensor], CfgNode]:
    """State dict of the cfg's model from the pair of files, and the cfg that goes with it.

    Strict: every tensor of both files is used or is a constant that is checked, and every tensor
    of the model is filled. WeightsError where a file does not fit, ValueError where the cfg does
    not: another crop, other classes.
    """
    cfg = released(cfg)
    check_crop(cfg)
    files = {
        "global": read_student(global_file, "global"),
        "local": read_student(local_file, "local"),
    }
    for name, tensors in files.items():
        check_classes(cfg, tensors, name)
    students = _build_students(cfg)
    check_grid(files["global"], students["global"])
    state: dict[str, Tensor] = {}
    for name, tensors in files.items():
        fitted = fit(students[name], tensors, name)
        state |= {f"students.{name}.{key}": value for key, value in fitted.items()}
    check_masks(files["local"])
    check_periods(files["local"], students["local"])
    return state, cfg


def released(cfg: CfgNode) -> CfgNode:
    """A copy of the cfg whose students compute as the authors' release does.

    Exact GELU, its LayerNorm eps, logits by way of 224 or 256 pixels, no pretrained files.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.STUDENTS = tuple(LOGITS_SIZE)
    for name, size in LOGITS_SIZE.items():
        node = without_pretraining(cfg.MODEL[name.upper()])
        node.BACKBONE.LAYER_NORM_EPS = LAYER_NORM_EPS
        node.LOGITS_SIZE = size
        cfg.MODEL[name.upper()] = node
    cfg.MODEL.GLOBAL.BACKBONE.ACTIVATION = ACTIVATION
    return cfg


def fit(student: nn.Module, tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The student's whole state dict from the tensors of its file, in the student's precision."""
    own = student.state_dict()
    renamed, unknown = rename(tensors, name)
    shapes = [
        f"{key} {tuple(value.shape)} instead of {tuple(own[key].shape)}"
        for key, value in renamed.items()
        if key in own and value.shape != own[key].shape
    ]
    differences = {
        "unknown to the format": unknown,
        "in the file, not in the model": [key for key in renamed if key not in own],
        "in the model, not in the file": [key for key in own if key not in renamed],
        "of another shape": shapes,
    }
    if any(differences.values()):
        raise WeightsError(_do_not_fit(differences, name))
    return {key: renamed[key].to(value.dtype).clone() for key, value in own.items()}


def _build_students(cfg: CfgNode) -> nn.ModuleDict:
    cfg = cfg.clone()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = "the pair of files"  # a whole checkpoint: no pretrained file is asked for
    model = build_model(cfg)
    assert isinstance(model.students, nn.ModuleDict)
    return model.students


def _do_not_fit(differences: Mapping[str, list[str]], name: str) -> str:
    found = [f"  {len(n)} {what}: {listed(n)}" for what, n in differences.items() if n]
    node = f"MODEL.{name.upper()}"
    return (
        f"The {name} student's file ({FILES[name]}) and the configuration's model differ:\n"
        + "\n".join(found)
        + f"\nCheck {node}.BACKBONE (the release has CLIP's ViT-B-16 and DINOv3's "
        f"vit_base_patch16_dinov3_qkvb), {node}.GUIDANCE.NAME and {node}.HEAD."
    )
