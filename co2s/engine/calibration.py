"""Calibration of a trained model: temperatures fitted, written down and saved with the model."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from co2s.d2 import DatasetCatalog, comm, inference_on_dataset
from co2s.evaluation.calibration import (
    SAMPLE,
    CalibrationEvaluator,
    Evidence,
    described,
    fit_temperature,
)
from co2s.files import write_json, write_whole

logger = logging.getLogger(__name__)

CALIBRATION = "calibration.json"
KEY = "calibration"  # in a checkpoint: {"datasets": names, "predictions": what the file holds}

Described = dict[str, dict[str, Any]]  # prediction -> {"temperature", "before", "after"}


def calibrate(trainer: Any, checkpoint: str) -> None:
    """Fit the temperatures of `trainer.method` and save them into the checkpoint it is.

    Fitted on DATASETS.VAL, else on DATASETS.TEST; described in `<OUTPUT_DIR>/calibration.json`. A
    checkpoint that was calibrated on those sets before is taken at its word, so that a report that
    is made again is the same one. checkpoint: "" where there is none. Every process calls it.
    """
    cfg, method = trainer.cfg, trainer.method
    names = [*(cfg.DATASETS.VAL or cfg.DATASETS.TEST)]
    known = comm.all_gather(_stored(checkpoint, names) if comm.is_main_process() else None)[0]
    content = known or _fitted(trainer, names)
    method.temperatures.set({name: part["temperature"] for name, part in content.items()})
    if comm.is_main_process() and content:
        if checkpoint and not known:
            _save(checkpoint, method.temperatures.state_dict(), names, content)
        write_json(Path(cfg.OUTPUT_DIR) / CALIBRATION, content)
    comm.synchronize()


def _fitted(trainer: Any, names: Sequence[str]) -> Described:
    """The fit and what it does, on all processes; nothing where not one pixel is labelled."""
    temperatures = trainer.method.temperatures
    temperatures.set({})
    images = sum(len(DatasetCatalog.get(name)) for name in names)
    before = _evidence(trainer, names, max(SAMPLE // images, 1))
    found = {name: fit_temperature(*part.sample) for name, part in before.items() if part.pixels}
    found = comm.all_gather(found)[0]
    if not found:
        logger.warning("Not calibrated: not one pixel of %s is labelled.", ", ".join(names))
        return {}
    temperatures.set(found)
    after = _evidence(trainer, names, 0)
    content = {
        name: {
            "temperature": found[name],
            "before": described(before[name].reliability),
            "after": described(after[name].reliability),
        }
        for name in before
    }
    _log(content, trainer.cfg.DATASETS.VAL, names)
    return comm.all_gather(content)[0]


def _evidence(trainer: Any, names: Sequence[str], per_image: int) -> dict[str, Evidence]:
    """On every prediction, from all sets together; nothing on all processes but the first."""
    parts: list[Mapping[str, Evidence]] = []
    for name in names:
        loader = trainer.build_test_loader(trainer.cfg, name)
        evaluator = CalibrationEvaluator(name, per_image)
        parts.append(inference_on_dataset(trainer.model, loader, evaluator) or {})
    return {name: Evidence.merged([part[name] for part in parts]) for name in parts[0]}


def _log(content: Described, separate: Sequence[str], names: Sequence[str]) -> None:
    for name, part in content.items():
        errors = [100 * part[when]["ece"] for when in ("before", "after")]
        text = "Calibration of %s: temperature %.3f, expected calibration error %.2f -> %.2f points"
        logger.info(text, name, part["temperature"], *errors)
    if content:
        same = "" if separate else ", the very set that is reported"
        logger.info("Temperatures were fitted on %s%s.", ", ".join(names), same)


def _stored(checkpoint: str, names: Sequence[str]) -> Described | None:
    """What a checkpoint says of its calibration on these sets; None: nothing."""
    if not checkpoint:
        return None
    content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True).get(KEY)
    return content["predictions"] if content and content["datasets"] == [*names] else None


def _save(
    checkpoint: str, temperatures: Mapping[str, Any], names: Sequence[str], content: Described
) -> None:
    """Put temperatures into a checkpoint; all else in it stays as it is."""
    whole = torch.load(checkpoint, map_location="cpu", weights_only=True)
    whole["model"] |= {f"temperatures.{name}": value.cpu() for name, value in temperatures.items()}
    whole[KEY] = {"datasets": [*names], "predictions": content}
    write_whole(Path(checkpoint), lambda draft: torch.save(whole, draft))
