"""Training: runs are scored and drawn, resumed exactly, and stopped when a loss is not finite."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.d2 import seed_all_rng
from co2s.engine import SemiSupervisedTrainer, resolve


@pytest.fixture
def train():
    return train_run


def train_run(cfg, *, steps=None, resume=False):
    cfg = cfg.clone()
    resolve(cfg)
    seed_all_rng(cfg.SEED)
    Path(cfg.OUTPUT_DIR).mkdir(exist_ok=True)
    trainer = SemiSupervisedTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    if steps:
        trainer.max_iter = steps
    results = trainer.train()
    return trainer, results


def losses(cfg):
    lines = Path(cfg.OUTPUT_DIR, "metrics.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_leaves_scores_pictures_and_checkpoints(toy_cfg, train):
    toy_cfg.TEST.EVAL_PERIOD = 3
    _, results = train(toy_cfg)
    out = Path(toy_cfg.OUTPUT_DIR)
    assert set(results) == {"fused", "global", "local"}
    stored = json.loads((out / "inference/engine_toy_val/scores.json").read_text())
    assert stored["images"] == 3
    assert stored["scores"]["fused"]["mIoU"] == pytest.approx(results["fused"]["mIoU"])
    for name in ("model_best.pth", "model_final.pth", "curves.png"):
        assert (out / name).is_file(), name
    assert len(list((out / "inference/engine_toy_val/panels").iterdir())) == 1


def test_only_sup_trains_without_unlabelled_data(toy_cfg, train):
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    toy_cfg.DATASETS.UNLABELED = ()
    toy_cfg.SOLVER.MAX_ITER = 40
    trainer, _ = train(toy_cfg)
    history = trainer.storage.history("total_loss").values()
    assert np.mean([v for v, _ in history[-5:]]) < 0.7 * np.mean([v for v, _ in history[:5]])


def test_resumed_run_equals_an_unbroken_one(toy_cfg, train):
    whole, _ = train(toy_cfg)
    toy_cfg.OUTPUT_DIR += "_broken"
    train(toy_cfg, steps=4)
    resumed, _ = train(toy_cfg, resume=True)
    assert resumed.start_iter == 4
    for (name, a), (_, b) in zip(
        whole.model.state_dict().items(), resumed.model.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=0, msg=name)


def test_non_finite_loss_stops_with_the_losses_and_keeps_the_last_checkpoint(toy_cfg, train):
    trainer, _ = train(toy_cfg, steps=4)
    checkpoint = Path(toy_cfg.OUTPUT_DIR, "last_checkpoint").read_text()
    before = torch.load(Path(toy_cfg.OUTPUT_DIR, checkpoint), weights_only=False)["model"]
    toy_cfg.SOLVER.BASE_LR = 1e30
    with pytest.raises(FloatingPointError, match="loss_sup_global"):
        train(toy_cfg)
    last = Path(toy_cfg.OUTPUT_DIR, "last_checkpoint").read_text()
    after = torch.load(Path(toy_cfg.OUTPUT_DIR, last), weights_only=False)["model"]
    assert all(torch.isfinite(v).all() for v in after.values())
    assert before.keys() == after.keys()
    assert trainer.iter == 4


def test_epochs_become_steps_and_periods(toy_cfg):
    toy_cfg.SOLVER.EPOCHS = 3
    resolve(toy_cfg)
    # 12 of 16 images are unlabelled, two of them in a batch
    assert (toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.CHECKPOINT_PERIOD) == (18, 6)
    assert toy_cfg.TEST.EVAL_PERIOD == 6
    assert toy_cfg.MODEL.NUM_CLASSES == 2


def test_missing_data_stops_before_a_model_is_built(toy_cfg, tmp_path):
    toy_cfg.DATASETS.ROOT = str(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        resolve(toy_cfg)


def test_the_crop_rounds_to_whole_patches_and_says_so(toy_cfg):
    toy_cfg.INPUT.CROP_SIZE = 512
    toy_cfg.MODEL.LOCAL.BACKBONE.MODEL = "vit_base_patch14_dinov2"
    toy_cfg.MODEL.LOCAL.BACKBONE.PATCH_SIZE = 0
    changes = resolve(toy_cfg)
    assert toy_cfg.INPUT.CROP_SIZE == 518
    assert any("512 -> 518: whole patches of 14 pixels for MODEL.LOCAL" in c for c in changes)
    assert resolve(toy_cfg) == []
