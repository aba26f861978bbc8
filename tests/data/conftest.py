"""Tiny datasets on disk, registered for the length of one test."""

import cv2
import numpy as np
import pytest

from co2s.data import register_dataset
from co2s.data.spec.reader import spec_from_dict


def toy_content(name="toy", **changes):
    """The YAML content of a dataset of two classes, under set/images/NAME.png."""
    return {
        "name": name,
        "root": name,
        "classes": [
            {"name": "land", "color": [200, 100, 0], "concepts": ["land"]},
            {"name": "water", "color": [0, 0, 200], "concepts": ["water", "lake"]},
        ],
        "labels": {"encoding": "index"},
        "layout": {"images": "{set}/images/{name}.png", "labels": "{set}/labels/{name}.png"},
        "splits": {"fractions": ["1_2"], "train": {"set": ["train"]}, "val": {"set": ["val"]}},
        **changes,
    }


def write_pair(folder, name, seed, shape=(40, 48), labels=True):
    """An image whose red channel is 50 + 100 * class, and its mask."""
    rng = np.random.default_rng(seed)
    classes = cv2.resize(rng.integers(0, 2, (4, 4), np.uint8), shape[::-1], interpolation=0)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    image[..., 0] = 50 + 100 * classes
    for part in ("images", "labels") if labels else ("images",):
        (folder / part).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / f"{name}.png"), image[..., ::-1])
    if labels:
        cv2.imwrite(str(folder / "labels" / f"{name}.png"), classes)
    return image, classes


@pytest.fixture
def toy(tmp_path, clean_catalog):
    """A function that writes and registers the dataset "toy"; returns its root."""

    def make(train=6, val=2, shape=(40, 48), labels=True, **changes):
        root = tmp_path / "toy"
        for number in range(train):
            write_pair(root / "train", f"{number:02d}", number, shape, labels)
        for number in range(val):
            write_pair(root / "val", f"{number:02d}", 100 + number, shape)
        register_dataset(spec_from_dict(toy_content(**changes)), root)
        return root

    return make


@pytest.fixture
def toy_cfg(tiny_cfg):
    """A configuration for the dataset "toy" in crops of 32 pixels."""
    tiny_cfg.DATASETS.LABELED = ("toy_1_2_labeled",)
    tiny_cfg.DATASETS.UNLABELED = ("toy_1_2_unlabeled",)
    tiny_cfg.DATASETS.TEST = ("toy_val",)
    tiny_cfg.INPUT.RESIZE = "long_side"
    tiny_cfg.SEED = 7
    return tiny_cfg


@pytest.fixture
def content():
    """The plain content of a valid dataset file."""
    return toy_content()
