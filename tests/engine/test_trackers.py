"""Trackers: every scalar once, the same run at the tracker after a resume, training in any case."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from co2s.engine.trackers import check_trackers


@pytest.fixture
def cfg(toy_cfg):
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    toy_cfg.SOLVER.MAX_ITER = 4
    toy_cfg.TEST.CALIBRATE = False
    toy_cfg.TRACKER_PROJECT = "tiles"
    return toy_cfg


@pytest.fixture
def wandb(monkeypatch):
    """A stand-in for wandb that keeps what it is given."""
    module = ModuleType("wandb")
    module.runs, module.logged, module.finished = [], [], []

    def init(**given):
        module.runs.append(given)
        return SimpleNamespace(
            id=given["id"] or "run1",
            define_metric=lambda *names, **more: None,
            log=module.logged.append,
            finish=lambda: module.finished.append(True),
        )

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


@pytest.fixture
def mlflow(monkeypatch):
    """A stand-in for MLflow that keeps what it is given, and refuses what MLflow does."""
    module = ModuleType("mlflow")
    module.runs, module.logged, module.params = [], {}, {}

    def start_run(run_id, run_name):
        module.runs.append((run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "abc"))

    def log_metrics(metrics, step):
        assert not any("@" in name for name in metrics)
        module.logged.setdefault(step, {}).update(metrics)

    module.set_experiment = lambda name: module.params.update(experiment=name)
    module.start_run, module.log_metrics = start_run, log_metrics
    module.log_params, module.end_run = module.params.update, lambda: None
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return module


def test_wandb_gets_each_scalar_once_and_a_resumed_run_is_the_same(cfg, train, wandb):
    cfg.TRACKERS = ("wandb",)
    train(cfg, steps=3)
    train(cfg, resume=True)
    first, second = wandb.runs
    assert first["project"] == "tiles" and first["name"] == "out" and first["id"] is None
    assert first["config"]["SEED"] == 1
    assert (second["id"], second["resume"]) == ("run1", "allow")
    with_loss = [entry["iteration"] for entry in wandb.logged if "total_loss" in entry]
    assert with_loss == [2, 3]
    lines = Path(cfg.OUTPUT_DIR, "metrics.json").read_text().splitlines()
    written = {(x["iteration"], x.get("total_loss")) for x in map(json.loads, lines)}
    assert written == {(x["iteration"], x.get("total_loss")) for x in wandb.logged}
    assert len(wandb.finished) == 2


def test_mlflow_goes_on_in_its_run_beside_wandb(cfg, train, mlflow, wandb):
    cfg.TRACKERS = ("mlflow", "wandb")
    train(cfg, steps=3)
    train(cfg, resume=True)
    assert mlflow.runs == [(None, "out"), ("abc", None)]
    assert mlflow.params["experiment"] == "tiles" and mlflow.params["SOLVER.MAX_ITER"] == "4"
    assert "total_loss" in mlflow.logged[2] and "total_loss" in mlflow.logged[3]
    ids = json.loads(Path(cfg.OUTPUT_DIR, "trackers.json").read_text())
    assert ids == {"mlflow": "abc", "wandb": "run1"}
    train(cfg)
    assert mlflow.runs[-1] == (None, "out"), "another run in this folder is another one there"


def test_a_tracker_that_fails_is_said_once_and_training_goes_on(cfg, train, mlflow, log):
    def refuse(metrics, step):
        raise ConnectionError("no server")

    mlflow.log_metrics = refuse
    cfg.TRACKERS = ("mlflow",)
    trainer, results = train(cfg)
    assert trainer.iter == 4 and results
    assert log.text.count("mlflow gets nothing more of this run: no server") == 1


def test_what_is_missing_is_said_before_training(cfg, train, monkeypatch, complete):
    cfg.TRACKERS = ("wandb",)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ModuleNotFoundError):
        train(cfg)
    with pytest.raises(ValueError, match=r"TRACKERS names \['tensorbord'\]; known are"):
        check_trackers(complete(cfg, "TRACKERS", ("tensorbord",)))
