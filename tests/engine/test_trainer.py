"""Training: runs are scored and drawn, resumed exactly, and stopped when a loss is not finite."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch


def losses(cfg):
    lines = Path(cfg.OUTPUT_DIR, "metrics.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_leaves_scores_pictures_and_checkpoints(toy_cfg, train):
    toy_cfg.TEST.EVAL_PERIOD = 3
    _, results = train(toy_cfg)
    out = Path(toy_cfg.OUTPUT_DIR)
    assert set(results) == {"fused", "global", "local", "sem_seg"}
    stored = json.loads((out / "inference/engine_toy_val/scores.json").read_text())
    assert stored["images"] == 3
    assert stored["scores"]["fused"]["mIoU"] == pytest.approx(results["fused"]["mIoU"])
    for name in ("model_best.pth", "model_final.pth", "curves.png", "report.html"):
        assert (out / name).is_file(), name
    panels = {path.name[:5] for path in (out / "inference/engine_toy_val/panels").iterdir()}
    assert panels == {
        "00000",
        "best_",
        "worst",
        "panel",
    }  # one of three images each, and their list


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
    last = Path(toy_cfg.OUTPUT_DIR, "former", "last_checkpoint").read_text()
    after = torch.load(Path(toy_cfg.OUTPUT_DIR, "former", last), weights_only=False)["model"]
    assert all(torch.isfinite(v).all() for v in after.values())
    assert before.keys() == after.keys()
    assert trainer.iter == 4


def test_a_projects_trainer_replaces_what_it_builds(toy_cfg, train):
    from co2s.engine import SemiSupervisedTrainer

    called = []

    class Project(SemiSupervisedTrainer):
        @classmethod
        def build_model(cls, cfg):
            called.append("build_model")
            return super().build_model(cfg)

        @classmethod
        def build_optimizer(cls, cfg, model):
            called.append("build_optimizer")
            return torch.optim.SGD(model.parameters(), lr=0.0)

        @classmethod
        def build_train_loader(cls, cfg, start_iter=0):
            called.append(f"build_train_loader {start_iter}")
            return super().build_train_loader(cfg, start_iter)

        @classmethod
        def build_evaluator(cls, cfg, dataset_name, output_folder=None, panels=0):
            called.append(f"build_evaluator {dataset_name} {panels}")
            return super().build_evaluator(cfg, dataset_name, output_folder, panels)

        @classmethod
        def test(cls, cfg, model, datasets=(), panels=0):
            called.append("test")
            return super().test(cfg, model, datasets, panels)

    toy_cfg.SOLVER.MAX_ITER = 1
    trainer, results = train(toy_cfg, kind=Project)
    assert type(trainer.optimizer).__name__ == "SGD"
    assert called == [
        "build_model",
        "build_optimizer",
        "build_train_loader 0",
        "test",
        "build_evaluator engine_toy_val 1",
    ]
    assert "fused" in results
