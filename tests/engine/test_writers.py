"""Scalars of an interrupted run: whole lines, the same medians, no more values than needed."""

import json
from pathlib import Path

import pytest

from co2s.engine import SemiSupervisedTrainer, writers
from co2s.engine import trainer as trainer_module
from co2s.engine.writers import cut_unfinished_line
from co2s.evaluation.metrics import read_metrics


class Killed(Exception):
    pass


@pytest.fixture
def cfg(toy_cfg, monkeypatch):
    monkeypatch.setattr(trainer_module, "LOG_PERIOD", 4)
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.CHECKPOINT_PERIOD = 8, 2
    toy_cfg.TEST.CALIBRATE = False
    return toy_cfg


def killed_before(step):
    class Fragile(SemiSupervisedTrainer):
        def run_step(self):
            if self.iter == step:
                raise Killed
            super().run_step()

    return Fragile


def losses(cfg):
    return {n: series for n, series in read_metrics(cfg.OUTPUT_DIR).items() if "loss" in n}


@pytest.mark.parametrize("step", [4, 7])
def test_a_resumed_run_writes_what_the_whole_one_does(cfg, train, step):
    train(cfg)
    whole = losses(cfg)
    cfg.OUTPUT_DIR += "_cut"
    with pytest.raises(Killed):
        train(cfg, kind=killed_before(step))
    path = Path(cfg.OUTPUT_DIR, "metrics.json")
    lines = path.read_text().splitlines(keepends=True)
    # As a kill leaves it that comes after the checkpoint and before the line.
    path.write_text("".join(lines[: -1 if step == 4 else None]) + '{"half of')
    train(cfg, resume=True)
    assert losses(cfg) == whole and len(whole["total_loss"][0]) == 2
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_an_unfinished_line_is_cut_and_nothing_else(tmp_path):
    path = tmp_path / "metrics.json"
    cut_unfinished_line(path)
    for before, after in (("a\nb\nc", "a\nb\n"), ("a\nb\n", "a\nb\n"), ("abc", ""), ("", "")):
        path.write_text(before)
        cut_unfinished_line(path)
        assert path.read_text() == after


def test_old_values_are_forgotten(cfg, train, monkeypatch):
    monkeypatch.setattr(writers, "KEPT", 3)
    trainer, _ = train(cfg)
    history = trainer.storage.history("total_loss")
    assert len(history.values()) == 3 and history.values()[-1][1] == 7
