"""The final report of a run: a file that says what was scored, with what, and of which options."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from co2s.config import plain, value_at
from co2s.d2 import CfgNode
from co2s.d2.key_names import key_names
from co2s.files import write_json

REPORT = "report.json"


def write_report(cfg: CfgNode, results: Mapping[str, Any], best: Mapping[str, Any] | None) -> str:
    """Write `<OUTPUT_DIR>/report.json` and return its path.

    results: as `SemiSupervisedTrainer.test` returns them; best: the score by which the checkpoint
    was chosen, None where the last model was scored. The file is there only where a run is through.
    """
    names = list(cfg.DATASETS.TEST)
    scores = {names[0]: dict(results)} if len(names) == 1 else dict(results)
    content = {
        "scores": scores,  # dataset -> prediction -> score -> percent
        "chosen": dict(best) if best else None,
        "options": options(cfg),
    }
    path = os.path.join(cfg.OUTPUT_DIR, REPORT)
    write_json(Path(path), content)
    return path


def options(cfg: CfgNode) -> dict[str, Any]:
    """Every value of a configuration by its dotted key, as JSON has it: no tuples."""
    return {key: plain(value_at(cfg, key)) for key in key_names(cfg)}
