"""What lies in the folder of a run: its options, its report, what its scores were counted from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from co2s.d2 import CfgNode
from co2s.evaluation import MAIN
from co2s.evaluation.bootstrap import mean_iou
from co2s.evaluation.per_image import read_per_image

from .report import REPORT, options

CONFIG = "config.yaml"


def options_in(folder: Path) -> dict[str, Any] | None:
    """The options that a folder's run has or had; None where it holds none."""
    if (folder / REPORT).is_file():
        return read_report(folder)["options"]
    if (folder / CONFIG).is_file():
        content = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
        return options(CfgNode(content))
    return None


def read_report(folder: Path) -> dict[str, Any]:
    """The report.json of a folder, as `write_report` has it."""
    return _json(folder / REPORT)


def reported_matrices(folder: Path, dataset: str, absent_as_zero: bool) -> dict[str, np.ndarray]:
    """Confusion matrices by image of the prediction that counts, of the run in a folder.

    FileNotFoundError where there are none, ValueError where they are not the report's.
    """
    place = folder / "inference" / dataset
    matrices = read_per_image(place, _json(place / "scores.json")["main"])
    whole = np.sum([*matrices.values()], axis=0)
    found = float(mean_iou(whole, absent_as_zero=absent_as_zero))
    reported = read_report(folder)["scores"][dataset][MAIN]["mIoU"]
    if abs(found - reported) > 1e-6:
        raise ValueError(
            f"{place} was scored again since {folder / REPORT} was written: {found:.2f} is not "
            f"{reported:.2f} % mIoU. tools/train_net.py --resume reports anew."
        )
    return matrices


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
