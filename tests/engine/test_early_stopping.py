"""Early stopping: after so many evaluations without a better score, counted over a resumed run."""

import json
from pathlib import Path

import pytest

from co2s.engine.hooks import EvaluateAndKeepBest


@pytest.fixture
def cfg(toy_cfg):
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.CHECKPOINT_PERIOD = 12, 100
    toy_cfg.TEST.EVAL_PERIOD, toy_cfg.TEST.EARLY_STOPPING = 2, 2
    toy_cfg.TEST.CALIBRATE = False
    return toy_cfg


def report(cfg):
    return json.loads(Path(cfg.OUTPUT_DIR, "report.json").read_text())


def test_a_run_without_a_better_score_ends_and_is_through(cfg, train, log, scripted):
    trainer, results = train(cfg, kind=scripted([10.0, 30.0, 20.0, 30.0]))
    assert trainer.found == [10.0, 30.0, 20.0, 30.0] and results
    assert report(cfg)["steps"] == 8 and report(cfg)["chosen"]["iteration"] == 3
    assert "in 2 evaluations: training ends after step 8" in log.text
    assert "Exception" not in log.text
    again, _ = train(cfg, kind=scripted([]), resume=True)
    assert again.found == [] and "only reporting" in log.text
    cfg.TEST.EARLY_STOPPING = 3
    with pytest.raises(scripted.Killed):
        train(cfg, kind=scripted([20.0], kill_before=9), resume=True)
    assert not Path(cfg.OUTPUT_DIR, "report.json").exists(), "no more through"
    longer, _ = train(cfg, kind=scripted([20.0, 25.0]), resume=True)
    assert longer.start_iter == 8 and longer.found == [20.0, 25.0]
    assert report(cfg)["steps"] == 10


def test_a_resumed_run_counts_on(cfg, train, scripted):
    with pytest.raises(scripted.Killed):
        train(cfg, kind=scripted([10.0, 30.0, 20.0], kill_before=7))
    assert not Path(cfg.OUTPUT_DIR, "report.json").exists()
    trainer, _ = train(cfg, kind=scripted([20.0, 29.0]), resume=True)  # one is made up
    assert (trainer.start_iter, trainer.found) == (6, [20.0, 29.0])
    assert report(cfg)["steps"] == 8


def test_no_patience_and_scores_that_are_no_number(cfg, train, scripted):
    cfg.TEST.EARLY_STOPPING = 0
    trainer, _ = train(cfg, kind=scripted([9.0, 8.0, 7.0, 6.0, 5.0, 4.0]))
    assert len(trainer.found) == 6 and report(cfg)["steps"] == 12
    cfg.TEST.EARLY_STOPPING = 2
    trainer, _ = train(cfg, kind=scripted([float("nan")] * 2))
    assert report(cfg)["steps"] == 4 and report(cfg)["chosen"] is None


def test_a_negative_patience_is_refused():
    with pytest.raises(ValueError, match="EARLY_STOPPING is -1"):
        EvaluateAndKeepBest(1, dict, None, "", -1)
