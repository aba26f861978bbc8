"""Training on rasters of four bands with holes: finite numbers, and no invalid pixel counted."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.d2 import seed_all_rng
from co2s.engine import SemiSupervisedTrainer

from ..geo import write_raster

SPEC = """
name: {name}
root: .
classes:
  - {{name: dark, color: [0, 0, 0], concepts: [shadow]}}
  - {{name: light, color: [255, 255, 255], concepts: [snow]}}
labels: {{encoding: index}}
raster: {{bands: [3, 2, 1, 4], scale: {{range: [0, {high}]}}}}
layout:
  images: "scenes/{{area}}_{{number}}.tif"
  labels: "masks/{{area}}_{{number}}.tif"
  unlabeled: ["more/*.tif"]
  window: 32
splits: {{fractions: ["1_2"], val: {{area: [val]}}}}
"""
# The highest value: band 4 has it wherever the image is valid, so that 255 there means valid, and
# the smallest admixture of an invalid pixel shows.
HIGH = {"uint16": 3000, "float32": 1}
HOLE = {"uint16": 65535, "float32": np.nan}


def write_scene(root, dtype, folder, name, seed):
    rng = np.random.default_rng(seed)
    classes = np.zeros((64, 80), np.uint8)
    classes[:, int(rng.integers(20, 60)) :] = 1
    bands = rng.uniform(0, 0.4, (4, 64, 80)) + 0.5 * classes
    bands[3] = 1
    bands = (bands * HIGH[dtype]).astype(dtype)
    hole = rng.random((64, 80)) < 0.02
    hole[:, 70:] = True
    hole[10:20, 10:30] = True
    bands[:, hole] = HOLE[dtype]
    write_raster(root / folder / f"{name}.tif", bands, nodata=65535 if dtype == "uint16" else None)
    if folder == "scenes":
        write_raster(root / "masks" / f"{name}.tif", classes[None])
    return hole


@pytest.fixture(params=["uint16", "float32"])
def cfg(request, toy_cfg, tmp_path, complete):
    """A configuration for scenes of four bands; VALID_IN_VAL pixels of its validation count."""
    dtype, name = request.param, f"engine_{request.param}"
    for i in range(2):
        write_scene(tmp_path, dtype, "scenes", f"train_{i}", i)
    write_scene(tmp_path, dtype, "more", "train_9", 9)
    hole = write_scene(tmp_path, dtype, "scenes", "val_0", 5)
    (tmp_path / "spec.yaml").write_text(SPEC.format(name=name, high=HIGH[dtype]))
    toy_cfg.DATASETS.SPECS = (str(tmp_path / "spec.yaml"),)
    toy_cfg.DATASETS.ROOT = ""
    toy_cfg.DATASETS.LABELED = (f"{name}_1_2_labeled",)
    toy_cfg.DATASETS.UNLABELED = (f"{name}_1_2_unlabeled",)
    toy_cfg.DATASETS.TEST = (f"{name}_val",)
    toy_cfg.INPUT.RESIZE, toy_cfg.INPUT.RATIO_RANGE = "long_side", (0.6, 1.7)
    toy_cfg.SOLVER.MAX_ITER = 20
    cfg = complete(toy_cfg, training=True).clone()
    cfg.defrost()
    cfg.VALID_IN_VAL = int((~hole[:64, :64]).sum())
    return cfg


def count_invalid(batch):
    """(pixels that count, pixels that count though invalid) over all that a loss looks at."""
    counted = invalid = 0
    for item in batch["labeled"]:
        kept = item["sem_seg"] != 255
        counted, invalid = counted + kept.sum(), invalid + (kept & (item["image"][3] < 255)).sum()
    for item in batch["unlabeled"]:
        partner = item["partner"]
        pairs = [(item["valid"], item["image"][3])]
        for box in item["cutmix"]:
            valid = torch.where(box, partner["valid"], item["valid"])
            pairs.append((valid, torch.where(box, partner["image"][3], item["image"][3])))
        for valid, band in pairs:
            counted, invalid = counted + valid.sum(), invalid + (valid & (band < 255)).sum()
    return int(counted), int(invalid)


def test_train_and_evaluate_with_no_invalid_pixel_counted(cfg, monkeypatch):
    seed_all_rng(1)
    Path(cfg.OUTPUT_DIR).mkdir()
    assert cfg.MODEL.NUM_BANDS == 4
    trainer = SemiSupervisedTrainer(cfg)
    counts, real = [], trainer.model.losses

    def losses(batch):
        counts.append(count_invalid(batch))
        return real(batch)

    monkeypatch.setattr(trainer.model, "losses", losses)
    results = trainer.train()
    assert len(counts) == 20
    counted, invalid = np.sum(counts, axis=0)
    assert counted > 20 * 1000 and invalid == 0
    history = trainer.storage.history("total_loss").values()
    assert len(history) == 20 and np.isfinite([value for value, _ in history]).all()
    assert 0 <= results["fused"]["mIoU"] <= 100
    name = cfg.DATASETS.TEST[0]
    scores = json.loads(Path(cfg.OUTPUT_DIR, "inference", name, "scores.json").read_text())
    for matrix in scores["confusion"].values():
        assert np.sum(matrix) == cfg.VALID_IN_VAL  # of 64 x 64 pixels, the holes left out
