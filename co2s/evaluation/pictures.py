"""All pictures of a finished run, from the files it left."""

import json
import os
from pathlib import Path

import numpy as np

from .curves import write_curves
from .heatmap import write_confusion
from .reliability import write_reliability


def write_run_pictures(output_dir: str) -> list[str]:
    """Write curves.png, and beside every scores.json one confusion_<prediction>.png; their paths.

    Where the run was calibrated, reliability.png, too. Raises FileNotFoundError where there is no
    metrics.json.
    """
    paths = [write_curves(output_dir)]
    calibration = os.path.join(output_dir, "calibration.json")
    if os.path.isfile(calibration):
        paths.append(write_reliability(calibration))
    for scores_file in sorted(Path(output_dir).rglob("scores.json")):
        paths += write_confusions(str(scores_file))
    return paths


def write_confusions(scores_file: str) -> list[str]:
    """One picture for each prediction of a scores.json, beside it; returns their paths."""
    with open(scores_file) as file:
        content = json.load(file)
    paths = []
    for name, matrix in content["confusion"].items():
        values = content["scores"][name]
        title = (
            f"{content['dataset']}, {name}: mIoU {values['mIoU']:.2f} %, OA {values['OA']:.2f} %"
        )
        path = os.path.join(os.path.dirname(scores_file), f"confusion_{name}.png")
        paths.append(write_confusion(np.array(matrix), content["class_names"], title, path))
    return paths
