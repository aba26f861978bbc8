"""What is exported of a model: the networks of one student, or of the fusion, and no method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from co2s.config import plain, value_at
from co2s.d2 import CfgNode, build_model
from co2s.d2.key_names import key_names
from co2s.data.carried import Carried
from co2s.engine import load_cfg
from co2s.modeling.meta_arch.students import Students
from co2s.modeling.sliding_window import fit_factor
from co2s.modeling.student import without_pretraining
from co2s.modeling.temperature import FUSED

# Every key that says what a network computes; those of the students' own nodes come with it.
KEYS = (
    *("MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD", "MODEL.NUM_CLASSES", "MODEL.NUM_BANDS"),
    *("MODEL.FUSION", "INPUT.CROP_SIZE", "INPUT.TEST_BASE_SIZE", "INPUT.TEST_SCALE"),
    *("TEST.WINDOW_SIZE", "TEST.STRIDE_RATIO", "TEST.WINDOW_BATCH"),
)
# Students in float32, as they are: what only makes training faster is no part of an export.
EXPORTABLE = (
    *("MODEL.DEVICE", "cpu", "MODEL.COMPILE", False),
    *("MODEL.ACTIVATION_CHECKPOINTING", "none", "SOLVER.AMP.ENABLED", False),
)


@dataclass(frozen=True)
class Selection:
    """The exported networks as a model of their own, and the keys that build it again."""

    student: str  # "fused", or the name of one
    options: Mapping[str, Any]
    model: Students

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.students.parameters())


def select(cfg: CfgNode, model: Students, student: str = FUSED) -> Selection:
    """The networks that predict, averages where there are any, of a student or of all of them.

    ValueError names the students where there is none of that name.
    """
    names = _names(model, student)
    options = options_of(cfg, names)
    chosen = build(options)[1]
    for name in names:
        chosen.students[name].load_state_dict(model.networks[name].state_dict())
    known = model.temperatures.values()
    own = chosen.temperatures.values()
    chosen.temperatures.set({name: known[name] for name in own if name in known})
    return Selection(student, options, chosen)


def build(options: Mapping[str, Any], opts: Sequence[Any] = ()) -> tuple[CfgNode, Students]:
    """The configuration and the model, with weights at random, of the keys of an export."""
    pairs = [part for pair in options.items() for part in pair]
    cfg = load_cfg("", [*pairs, *EXPORTABLE, *opts])
    model: Any = build_model(cfg)
    return cfg, model.eval()


def options_of(cfg: CfgNode, names: Sequence[str]) -> dict[str, Any]:
    """The keys of a model of these students alone, as JSON has them; no path is among them."""
    fusion = cfg.MODEL.FUSION if len(names) > 1 else "confidence"
    options = {"MODEL.META_ARCHITECTURE": "OnlySup", "MODEL.STUDENTS": [*names]}
    options |= {key: plain(value_at(cfg, key)) for key in KEYS} | {"MODEL.FUSION": fusion}
    for name in names:
        node = without_pretraining(cfg.MODEL[name.upper()])
        section = f"MODEL.{name.upper()}"
        options |= {f"{section}.{key}": plain(value_at(node, key)) for key in key_names(node)}
        for key in ("TEXT_MODEL", "TEXT_WEIGHTS"):  # the prototypes are made
            options[f"{section}.GUIDANCE.{key}"] = ""
    return options


def scale_of(cfg: CfgNode, carried: Carried) -> float:
    """By how much the network sees images larger than they are (INPUT.TEST_SCALE, TEST_BASE_SIZE).

    A base size fits whole images, so that its factor is that of the images of the training.
    """
    base = cfg.INPUT.TEST_BASE_SIZE
    height, width = carried.size or (base[1], base[1])  # where nothing is known of them
    return fit_factor(height, width, base, cfg.INPUT.TEST_SCALE)


def _names(model: Students, student: str) -> list[str]:
    known = [*model.predictors]
    if student == FUSED:
        return [model.fusion] if model.fusion in known else known
    if student not in known:
        raise ValueError(f"--student {student}: the model has {', '.join(known)}, and {FUSED}.")
    return [student]
