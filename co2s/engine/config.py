"""load_cfg: from a file and options to the complete configuration of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from co2s.config import Given, check_keys, get_co2s_cfg, read_given
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, comm
from co2s.data import iterations_per_epoch, register_datasets
from co2s.modeling.backbone import patch_size, settle
from co2s.modeling.execution import precisions
from co2s.modeling.guidance.text import name_prototypes
from co2s.modeling.meta_arch import Method  # the methods bring keys of their own
from co2s.modeling.metadata import check_bands, num_bands


def load_cfg(
    file: str = "",
    opts: Sequence[Any] = (),
    *,
    training: bool = False,
    resume: bool = False,
    notes: list[str] | None = None,
) -> CfgNode:
    """The complete configuration of a file and of `KEY VALUE ...`, frozen; nothing is written.

    Its datasets are registered; whatever depends on them, on the machine and on the weights is
    filled in. What is given explicitly stays as it is. `training` fills in the schedule too, for
    which the data must be there; with `resume` a seed that was drawn is drawn no more. `notes` gets
    a sentence for whatever a user should know of, since there is no log yet.
    Raises ValueError or FileNotFoundError for what the user can mend.
    """
    given = read_given(file, opts)
    cfg = get_co2s_cfg(_student_names(given))
    check_keys(given, cfg)
    _merge(cfg, file, opts)
    register_datasets(cfg)
    said = _resolve(cfg, given, training, resume)
    if notes is not None:
        notes += said
    cfg.freeze()
    return cfg


def _student_names(given: Given) -> tuple[str, ...]:
    """MODEL.STUDENTS as it is given, in a file or as text on the command line."""
    probe = CfgNode({"STUDENTS": ()})
    if "MODEL.STUDENTS" in given:
        probe.merge_from_list(["STUDENTS", given.get("MODEL.STUDENTS")])
    return tuple(str(name) for name in probe.STUDENTS)


def _merge(cfg: CfgNode, file: str, opts: Sequence[Any]) -> None:
    try:
        if file:
            cfg.merge_from_file(file, allow_unsafe=False)
        cfg.merge_from_list(list(opts))
    except (ValueError, AssertionError, KeyError) as error:  # all of them about the user's values
        raise ValueError(f"The configuration ({file or 'command line'}): {error}") from error


def _resolve(cfg: CfgNode, given: Given, training: bool, resume: bool) -> list[str]:
    """Fill in what was left open, in place; sentences about it."""
    notes = []
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        notes.append("MODEL.DEVICE is 'cuda' and there is no GPU: running on the CPU.")
        cfg.MODEL.DEVICE = "cpu"
    _check_values(cfg)
    cfg.MODEL.NUM_BANDS = num_bands(cfg)
    method = method_of(cfg)
    method.settle(cfg)
    for name in cfg.MODEL.STUDENTS:
        settle(cfg.MODEL[name.upper()])
    notes += _average(cfg, given)
    notes += _fit_crop(cfg, given)
    if training:
        check_bands(cfg)
        method.views(cfg)  # refuses what it cannot be
        notes += _schedule(cfg, given)
        if method.segments:
            name_prototypes(cfg)
    if cfg.SEED < 0 and training:
        cfg.SEED = _drawn_seed(cfg, resume)
    return notes


def method_of(cfg: CfgNode) -> type[Method]:
    """The class of the configuration's method."""
    return META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)


def known_methods() -> dict[str, type[Method]]:
    """Every registered method by its name, in order; detectron2's registry holds others, too."""
    found = {n: kind for n, kind in META_ARCH_REGISTRY if isinstance(kind, type)}
    return {n: found[n] for n in sorted(found) if issubclass(found[n], Method)}


def _check_values(cfg: CfgNode) -> None:
    precisions(cfg)  # refuses what it cannot be
    if cfg.INPUT.FORMAT != "RGB":
        raise ValueError(
            f'INPUT.FORMAT is "{cfg.INPUT.FORMAT}"; images are read and normalised as "RGB" '
            "everywhere. Take the key out."
        )
    weights = cfg.MODEL.WEIGHTS
    if weights and "://" not in weights and not Path(weights).is_file():
        raise FileNotFoundError(f"MODEL.WEIGHTS '{weights}': no such file, seen from {Path.cwd()}.")
    if cfg.MODEL.META_ARCHITECTURE not in known_methods():
        raise ValueError(
            f"MODEL.META_ARCHITECTURE is '{cfg.MODEL.META_ARCHITECTURE}'; known are "
            f"{[*known_methods()]}."
        )
    names = cfg.MODEL.STUDENTS
    if not names or len(set(names)) < len(names) or not all(_is_student(cfg, n) for n in names):
        raise ValueError(
            f"MODEL.STUDENTS must be names of one student or several, found {names}. A name is one "
            'word, such as "local", and no other section of MODEL.'
        )


def _is_student(cfg: CfgNode, name: str) -> bool:
    return name.isidentifier() and "GUIDANCE" in cfg.MODEL.get(name.upper(), {})


def _average(cfg: CfgNode, given: Given) -> list[str]:
    """MODEL.EMA_DECAY as the method has it, where nobody gave it."""
    method, decay = cfg.MODEL.META_ARCHITECTURE, method_of(cfg).ema_decay
    if not decay or "MODEL.EMA_DECAY" in given:
        return []
    cfg.MODEL.EMA_DECAY = decay
    return [f"MODEL.EMA_DECAY {decay}: {method} labels and predicts by averages."]


def _fit_crop(cfg: CfgNode, given: Given) -> list[str]:
    """Round a crop that nobody gave to whole patches of the last student: 512 becomes 518 for
    DINOv2's of 14 pixels. One that is given stays, and each student pads it."""
    name = cfg.MODEL.STUDENTS[-1]
    crop, patch = cfg.INPUT.CROP_SIZE, patch_size(cfg.MODEL[name.upper()])
    if crop % patch == 0:
        return []
    whole = max(round(crop / patch), 1) * patch
    what = f"whole patches of {patch} pixels for MODEL.{name.upper()}"
    if "INPUT.CROP_SIZE" in given:
        return [f"INPUT.CROP_SIZE {crop} is padded; {whole} would be {what}."]
    cfg.INPUT.CROP_SIZE = whole
    return [f"INPUT.CROP_SIZE {crop} -> {whole}: {what}."]


def _schedule(cfg: CfgNode, given: Given) -> list[str]:
    """MAX_ITER from EPOCHS, and periods of one epoch, where they are not given themselves.

    Of EPOCHS and MAX_ITER the one given last counts: the command line's before a file's, a
    file's before its base's. What counts stands in MAX_ITER; EPOCHS is 0 afterwards.
    """
    epoch = iterations_per_epoch(cfg)  # also finds out now, not later, that data are missing
    method_of(cfg).set_periods(cfg, epoch)
    epochs, cfg.SOLVER.EPOCHS = cfg.SOLVER.EPOCHS, 0
    if not epochs:
        return []
    steps, wanted = given.level("SOLVER.MAX_ITER"), given.level("SOLVER.EPOCHS")
    if steps == wanted >= 0:
        raise ValueError(
            f"{given.where('SOLVER.EPOCHS')} gives both SOLVER.EPOCHS {epochs} and SOLVER.MAX_ITER "
            f"{cfg.SOLVER.MAX_ITER}. Take one of them out."
        )
    if steps > wanted:
        return [
            f"SOLVER.MAX_ITER {cfg.SOLVER.MAX_ITER} is given: SOLVER.EPOCHS {epochs} is not used."
        ]
    cfg.SOLVER.MAX_ITER = epochs * epoch
    if "SOLVER.CHECKPOINT_PERIOD" not in given:
        cfg.SOLVER.CHECKPOINT_PERIOD = epoch
    if "TEST.EVAL_PERIOD" not in given:
        cfg.TEST.EVAL_PERIOD = epoch
    return [f"{epochs} epochs of {epoch} steps: SOLVER.MAX_ITER {cfg.SOLVER.MAX_ITER}."]


def _drawn_seed(cfg: CfgNode, resume: bool) -> int:
    """A seed that all processes share; on resume the one that the run began with."""
    begun = Path(cfg.OUTPUT_DIR) / "config.yaml"
    if resume and begun.is_file():
        seed = yaml.safe_load(begun.read_text(encoding="utf-8")).get("SEED", -1)
        if seed >= 0:
            return int(seed)
    return comm.shared_random_seed() % 2**31
