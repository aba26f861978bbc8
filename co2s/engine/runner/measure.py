"""Process of the runner that times a configuration: measure FILE --config-file ... KEY VALUE ...,
or a floor: measure FILE FOLDER, where its config.yaml lies."""

import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from co2s.d2 import CfgNode, DatasetCatalog, EventStorage, build_model, default_argument_parser
from co2s.files import write_json
from co2s.tool import tool

from ..setup import setup
from ..trainer import SemiSupervisedTrainer
from .floor_process import read_floor

WARMUP, STEPS = 2, 5
IMAGES = 3  # that are predicted, after one of warm-up


@tool
def main() -> None:
    """Write {"steps", "step", "evaluations", "evaluation"} of a run, or {"images", "image"} of a
    floor, in numbers and seconds."""
    file, *arguments = sys.argv[1:]
    if len(arguments) == 1:
        found = measure_floor(read_floor(Path(arguments[0])))
    else:
        found = measure(setup(default_argument_parser().parse_args(arguments)))
    write_json(Path(file), found)


def measure(cfg: CfgNode) -> dict[str, Any]:
    """What a step takes, and what scoring all of DATASETS.TEST does; how many there are of each.

    Nothing is saved but what the start of a run writes.
    """
    trainer = SemiSupervisedTrainer(cfg)
    trainer.resume_or_load(resume=False)
    steps, period = cfg.SOLVER.MAX_ITER, cfg.TEST.EVAL_PERIOD
    images = _images(cfg.DATASETS.TEST)
    # Scoring on the way, fitting the temperatures, the report.
    evaluations = (steps // period if period > 0 else 0) + bool(cfg.TEST.CALIBRATE) + 1
    return {
        "steps": steps,
        "step": _seconds_of_step(trainer),
        "evaluations": evaluations,
        "evaluation": images * _seconds_of_image(cfg, trainer.model) if images else 0.0,
    }


def measure_floor(cfg: CfgNode) -> dict[str, Any]:
    """How many images a floor looks at, to be fitted and to be scored, and what one takes.

    What the fit itself takes, once their features are there, is not in it.
    """
    model = build_model(cfg)
    images = _images(cfg.DATASETS.LABELED) + _images(cfg.DATASETS.TEST)
    return {"images": images, "image": _seconds_of_image(cfg, model)}


def _images(names: Sequence[str]) -> int:
    return sum(len(DatasetCatalog.get(name)) for name in names)


def _seconds_of_step(trainer: SemiSupervisedTrainer) -> float:
    trainer.model.train()
    with EventStorage(0) as trainer.storage:
        for trainer.iter in range(WARMUP + STEPS):
            if trainer.iter == WARMUP:
                begun = _now()
            trainer.run_step()
            trainer.storage.step()
    return (_now() - begun) / STEPS


def _seconds_of_image(cfg: CfgNode, model: nn.Module) -> float:
    model.eval()
    loader = iter(SemiSupervisedTrainer.build_test_loader(cfg, cfg.DATASETS.TEST[0]))
    with torch.no_grad():
        model(next(loader))
        begun, seen = _now(), 0
        for batch in itertools.islice(loader, IMAGES):
            model(batch)
            seen += 1
    return (_now() - begun) / max(seen, 1)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
