"""Tiny datasets for the dataset check: clean ones, to be broken by the tests."""

import cv2
import numpy as np

from co2s.data import register_dataset
from co2s.data.spec.reader import spec_from_dict
from co2s.preparation.check import check_dataset

from ..data.conftest import toy_content, write_pair

SPLITS = {"fractions": ["1_1"], "train": {"set": ["train"]}, "val": {"set": ["val"]}}


def write_toy(root, train=4, val=2):
    """A clean dataset of two classes: every training image is labelled."""
    for number in range(train):
        write_pair(root / "train", f"{number:02d}", number)
    for number in range(val):
        write_pair(root / "val", f"{100 + number}", 100 + number)
    return root


def register_toy(root, **changes):
    """Register it under the name "toy"; changes: of its YAML content."""
    register_dataset(spec_from_dict(toy_content(**{"splits": SPLITS, **changes})), root)


def checked(root, **changes):
    """The report on the dataset in root, and its findings by kind."""
    register_toy(root, **changes)
    report = check_dataset("toy")
    found = {finding.kind: finding for finding in report.findings}
    assert len(found) == len(report.findings), "a test looks at one finding of each kind"
    return report, found


def labels(root):
    """The paths of all masks."""
    return sorted(root.glob("*/labels/*"))


def rewrite(paths, change):
    """Replace each mask by change(mask): numbers (H, W) or colours (H, W, 3) RGB."""
    for path in paths:
        array = change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


def paint(numbers, colors):
    """(H, W) numbers as (H, W, 3) colours."""
    return np.array(colors, np.uint8)[numbers]


def classes(number):
    """So many classes, as a YAML file has them."""
    return [
        {"name": f"class{n}", "color": [40 * n, 0, 255 - n], "concepts": ["thing"]}
        for n in range(number)
    ]
