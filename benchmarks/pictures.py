"""Pictures to read where no dataset is at hand: synthetic scenes, of as many bytes as real ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from co2s.data import get_spec, register_dataset
from co2s.data.spec.layout import LayoutSpec, SplitSpec
from co2s.preparation.synthetic import draw_scene

NAME = "benchmark_pictures"
QUALITY = 90  # of JPEG; PNG knows none. A scene of 512 px has some 80 KB as JPEG, 500 KB as PNG


def use_pictures(root: Path, count: int, size: int, suffix: str) -> list[str]:
    """Write `count` pictures and masks; the options that make them the training data.

    Every other one is labelled. ValueError for fewer than four: CutMix needs two without labels.
    """
    if count < 4:
        raise ValueError(f"--synthetic needs at least 4 pictures, found {count}.")
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for number in range(count):
        image, mask = draw_scene(np.random.default_rng(number), (size, size))
        Image.fromarray(image).save(root / "images" / f"{number:05d}.{suffix}", quality=QUALITY)
        Image.fromarray(mask).save(root / "labels" / f"{number:05d}.png")
    name = f"{NAME}_{size}_{suffix}"
    layout = LayoutSpec(images=f"images/{{name}}.{suffix}", labels="labels/{name}.png")
    scenes = get_spec("synthetic_aerial")
    splits = SplitSpec(fractions=("1_2",))
    register_dataset(replace(scenes, name=name, root=name, layout=layout, splits=splits), root)
    labeled, unlabeled = (f"('{name}_1_2_{role}',)" for role in ("labeled", "unlabeled"))
    data = {"ROOT": "", "LABELED": labeled, "UNLABELED": unlabeled, "VAL": "()", "TEST": "()"}
    return [text for key, value in data.items() for text in (f"DATASETS.{key}", value)]
