"""The twin of a run: the same students on the labelled images alone, and what the others gave."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from co2s.d2 import META_ARCH_REGISTRY, CfgNode, comm, seed_all_rng
from co2s.evaluation.bootstrap import Estimate, mean_iou, paired_gain
from co2s.files import write_json, write_text
from co2s.tables import signed

from .checkpoints import last_checkpoint
from .report import FREE, REPORT, draw_page, options, refuse_other_options
from .reported import CONFIG, options_in, reported_matrices

logger = logging.getLogger(__name__)

METHOD = "OnlySup"
FOLDER = "labeled_only"  # in the run's OUTPUT_DIR
TWIN = "twin.json"


def twin_cfg(cfg: CfgNode) -> CfgNode:
    """The configuration of a run's twin: another method and another folder, all else the same."""
    own = cfg.clone()
    own.defrost()
    own.MODEL.META_ARCHITECTURE = METHOD
    own.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR) / FOLDER)
    own.freeze()
    return own


def check_baseline(cfg: CfgNode) -> None:
    """ValueError where a run can have no twin, or its folder holds that of another run."""
    if cfg.MODEL.META_ARCHITECTURE == METHOD:
        raise ValueError(f"--with-baseline: {METHOD} is the baseline itself. Leave it out.")
    if not cfg.DATASETS.TEST:
        raise ValueError("--with-baseline compares on DATASETS.TEST, which is empty.")
    own = twin_cfg(cfg)
    found = options_in(Path(own.OUTPUT_DIR))
    if found is not None:
        refuse_other_options(Path(own.OUTPUT_DIR), found, options(own), _free())


def train_twin(cfg: CfgNode, kind: Any) -> None:
    """Train and score the twin with a class of trainers, unless that is done; then compare.

    One that was cut goes on. Every process calls it, after the run itself.
    """
    own = twin_cfg(cfg)
    comm.synchronize()
    if not comm.all_gather(_is_through(own))[0]:
        logger.info("Now the twin: %s in %s.", METHOD, own.OUTPUT_DIR)
        seed_all_rng(own.SEED + comm.get_rank())  # as every run starts
        if comm.is_main_process():
            write_text(Path(own.OUTPUT_DIR) / CONFIG, own.dump())
        resume = bool(last_checkpoint(own))
        trainer = kind(own, resume=resume)
        trainer.resume_or_load(resume=resume)
        trainer.train()
    if comm.is_main_process():
        write_twin(cfg)
        draw_page(cfg)
    comm.synchronize()


def write_twin(cfg: CfgNode) -> dict[str, Any] | None:
    """Compare a run that was reported with its twin, where it has one: one sentence in the log.

    Writes `<OUTPUT_DIR>/twin.json` and returns what it holds; None, and no file, where there is no
    twin that is through, or one of other options, which the log says.
    """
    path = Path(cfg.OUTPUT_DIR) / TWIN
    path.unlink(missing_ok=True)
    own = twin_cfg(cfg)
    if not (Path(own.OUTPUT_DIR) / REPORT).is_file():
        return None
    try:
        refuse_other_options(
            Path(own.OUTPUT_DIR), options_in(Path(own.OUTPUT_DIR)) or {}, options(own), _free()
        )
        parts = {name: _compared(cfg, own, name) for name in cfg.DATASETS.TEST}
    except (ValueError, OSError) as error:
        logger.warning("Not compared with the twin in %s: %s", own.OUTPUT_DIR, error)
        return None
    sentences = [sentence(part, name if len(parts) > 1 else "") for name, part in parts.items()]
    first = next(iter(parts.values()))
    content = {"sentence": " ".join(sentences), **first, "twin": FOLDER, "datasets": parts}
    harms = any(part["interval"][1] < 0 for part in parts.values())
    logger.log(logging.WARNING if harms else logging.INFO, "%s", content["sentence"])
    write_json(path, content)
    return content


def sentence(part: Mapping[str, Any], dataset: str = "") -> str:
    """What the unlabelled images gave, in words."""
    low, high = part["interval"]
    where = f" on {dataset}" if dataset else ""
    points = f"{signed(part['gain'])} points of mIoU"
    if low > 0:
        verdict = f"gave {points}{where}"
    elif high < 0:
        verdict = f"harmed: {points}{where}"
    else:
        verdict = f"made no clear difference{where}: {points}"
    return (
        f"The unlabelled images {verdict} (95 % interval over {part['images']} images {low:.1f} to "
        f"{high:.1f}; one seed each)."
    )


def _compared(cfg: CfgNode, own: CfgNode, dataset: str) -> dict[str, Any]:
    """Gain, interval and both scores on a dataset; ValueError where they are not to be compared."""
    zero = cfg.TEST.ABSENT_AS_ZERO
    mine, theirs = (reported_matrices(Path(part.OUTPUT_DIR), dataset, zero) for part in (cfg, own))
    if mine.keys() != theirs.keys():
        raise ValueError(f"the images of {dataset} are others than those it was scored on.")
    pairs = [(mine[image], theirs[image]) for image in sorted(mine)]
    first, second = (np.stack(part) for part in zip(*pairs, strict=True))
    gain: Estimate = paired_gain(first, second, absent_as_zero=zero)
    return {
        "gain": gain.value,
        "interval": [gain.low, gain.high],
        "images": len(pairs),
        "with": float(mean_iou(first.sum(axis=0), absent_as_zero=zero)),
        "without": float(mean_iou(second.sum(axis=0), absent_as_zero=zero)),
    }


def _is_through(own: CfgNode) -> bool:
    """Whether a twin was reported, and what it is compared by is there."""
    if not (Path(own.OUTPUT_DIR) / REPORT).is_file():
        return False
    try:
        for name in own.DATASETS.TEST:
            reported_matrices(Path(own.OUTPUT_DIR), name, own.TEST.ABSENT_AS_ZERO)
    except (ValueError, OSError):
        return False
    return True


def _free() -> tuple[str, ...]:
    """Keys that the twin does not read, or that change no result: they may differ."""
    methods = (f"MODEL.{name.upper()}" for name, _ in META_ARCH_REGISTRY)
    return (*FREE, "OUTPUT_DIR", *methods)
