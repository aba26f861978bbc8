"""Process of the runner that times a configuration: measure FILE --config-file ... KEY VALUE ..."""

import itertools
import sys
import time
from pathlib import Path
from typing import Any

import torch

from co2s.d2 import CfgNode, DatasetCatalog, EventStorage, default_argument_parser
from co2s.files import write_json
from co2s.tool import tool

from ..setup import setup
from ..trainer import SemiSupervisedTrainer

WARMUP, STEPS = 2, 5
IMAGES = 3  # that are predicted, after one of warm-up


@tool
def main() -> None:
    """Write {"steps", "step", "evaluations", "evaluation"} of a run, in numbers and seconds."""
    file, *arguments = sys.argv[1:]
    write_json(Path(file), measure(setup(default_argument_parser().parse_args(arguments))))


def measure(cfg: CfgNode) -> dict[str, Any]:
    """What a step takes, and what scoring all of DATASETS.TEST does; how many there are of each.

    Nothing is saved but what the start of a run writes.
    """
    trainer = SemiSupervisedTrainer(cfg)
    trainer.resume_or_load(resume=False)
    steps, period = cfg.SOLVER.MAX_ITER, cfg.TEST.EVAL_PERIOD
    images = sum(len(DatasetCatalog.get(name)) for name in cfg.DATASETS.TEST)
    # Scoring on the way, fitting the temperatures, the report.
    evaluations = (steps // period if period > 0 else 0) + bool(cfg.TEST.CALIBRATE) + 1
    return {
        "steps": steps,
        "step": _seconds_of_step(trainer),
        "evaluations": evaluations,
        "evaluation": images * _seconds_of_image(trainer) if images else 0.0,
    }


def _seconds_of_step(trainer: SemiSupervisedTrainer) -> float:
    trainer.model.train()
    with EventStorage(0) as trainer.storage:
        for trainer.iter in range(WARMUP + STEPS):
            if trainer.iter == WARMUP:
                begun = _now()
            trainer.run_step()
            trainer.storage.step()
    return (_now() - begun) / STEPS


def _seconds_of_image(trainer: SemiSupervisedTrainer) -> float:
    cfg, model = trainer.cfg, trainer.model.eval()
    loader = iter(trainer.build_test_loader(cfg, cfg.DATASETS.TEST[0]))
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
