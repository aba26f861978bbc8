"""Drift of a run: what metrics.json tells, the same on two processes, and what it never changes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.engine import drift
from co2s.engine.alarms import PATIENCE
from co2s.engine.drift import Drift, summed

OF_DRIFT = ("coverage/", "pseudo_share/", "agreement", "teaches/", "precision/", "label_share/")


def told(cfg):
    """Every scalar of drift by name: {iteration: value}."""
    values = {}
    for line in Path(cfg.OUTPUT_DIR, "metrics.json").read_text().splitlines():
        record = json.loads(line)
        step = record.pop("iteration")
        for name, value in record.items():
            if name.startswith(OF_DRIFT):
                values.setdefault(name, {})[step] = value
    return values


@pytest.fixture
def cfg(toy_cfg, no_pictures):
    toy_cfg.MODEL.FIXMATCH.THRESHOLD = toy_cfg.MODEL.UNIMATCH.THRESHOLD = 0.5
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.TEST.CALIBRATE = 25, False
    return toy_cfg


def test_a_run_tells_what_its_pseudo_labels_amount_to(cfg, train):
    cfg.DATASETS.DIAGNOSE = True
    trainer, _ = train(cfg)
    found = told(cfg)
    for student in ("global", "local"):
        for name in ("coverage", "teaches", "precision"):
            assert set(found[f"{name}/{student}"]) == {19, 24}, "after 20 steps and the last"
        assert {f"coverage/{student}/dark", f"coverage/{student}/light"} <= found.keys()
        shares = [found[f"pseudo_share/{student}/{c}"][24] for c in ("dark", "light")]
        assert sum(shares) == pytest.approx(1)
    assert sum(found[f"label_share/{c}"][19] for c in ("dark", "light")) == pytest.approx(1)
    assert {"agreement", "agreement/dark", "agreement/light"} <= found.keys()
    assert all(0 <= v <= 1 for values in found.values() for v in values.values())
    assert trainer.method.tally == {}


def test_a_method_without_pseudo_labels_tells_none(cfg, train):
    cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    train(cfg)
    assert told(cfg) == {}


def test_precision_is_only_told_where_it_is_asked_for(cfg, train):
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.STUDENTS = "UniMatch", ("local",)
    cfg.SOLVER.MAX_ITER = 2
    train(cfg)
    assert {name.split("/")[0] for name in told(cfg)} == {"coverage", "pseudo_share", "label_share"}


def weights(trainer):
    return trainer.method.state_dict()


@pytest.mark.parametrize("method", ["Co2S", "FixMatch"])
def test_known_labels_change_neither_loss_nor_gradient(cfg, train, method):
    cfg.MODEL.META_ARCHITECTURE, cfg.SOLVER.MAX_ITER = method, 3
    blind, _ = train(cfg)
    cfg.DATASETS.DIAGNOSE = True
    cfg.OUTPUT_DIR += "_diagnosed"
    seeing, _ = train(cfg)
    assert "precision/local" in told(cfg)
    assert all(torch.equal(a, b) for a, b in zip(
        weights(blind).values(), weights(seeing).values(), strict=True
    ))  # fmt: skip
    for name, history in blind.storage.histories().items():
        if "loss" in name:
            assert history.values() == seeing.storage.histories()[name].values(), name
    pairs = zip(blind.method.parameters(), seeing.method.parameters(), strict=True)
    assert all(a.grad is b.grad or torch.equal(a.grad, b.grad) for a, b in pairs)


@pytest.mark.parametrize("kind", ["flexmatch", "freematch", "balanced"])
def test_adaptive_thresholds_go_on_exactly(cfg, train, kind):
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.STUDENTS = "FixMatch", ("local",)
    cfg.MODEL.FIXMATCH.CLASS_THRESHOLDS, cfg.SOLVER.MAX_ITER = kind, 6
    whole, _ = train(cfg)
    cfg.OUTPUT_DIR += "_broken"
    train(cfg, steps=3)
    resumed, _ = train(cfg, resume=True)
    for (name, a), b in zip(weights(whole).items(), weights(resumed).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=0, msg=name)
    average = whole.method.thresholds["local"].average
    assert not torch.equal(average, whole.method.thresholds["local"].anew().average)


def run(cfg, run_processes, processes):
    run_processes(cfg, processes)
    calibration = json.loads(Path(cfg.OUTPUT_DIR, "calibration.json").read_text())
    model = torch.load(Path(cfg.OUTPUT_DIR, "model_final.pth"), weights_only=True)["model"]
    return told(cfg), calibration, model


def test_two_processes_tell_what_one_tells(cfg, run_processes):
    cfg.MODEL.CO2S.CLASS_THRESHOLDS = "freematch"
    # The deepest map is not the last block's: the last one would have no gradient.
    cfg.MODEL.LOCAL.BACKBONE.DEPTH, cfg.MODEL.LOCAL.BACKBONE.FEATURES = 3, [0, 0, 1]
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.IMS_PER_BATCH = 6, 4
    cfg.DATASETS.DIAGNOSE = cfg.TEST.CALIBRATE = True
    (one, one_cal, one_model), (two, two_cal, two_model) = (
        run(cfg, run_processes, n) for n in (1, 2)
    )
    assert one.keys() == two.keys() and {"precision/local", "teaches/local"} <= one.keys()
    for name, values in one.items():
        assert two[name] == pytest.approx(values, abs=2e-3), name
    for name, part in one_cal.items():
        assert two_cal[name]["temperature"] == pytest.approx(part["temperature"], rel=2e-2)
        assert two_cal[name]["before"]["ece"] == pytest.approx(part["before"]["ece"], abs=5e-3)
        pixels = [sum(b[0] for b in cal[name]["after"]["bins"]) for cal in (one_cal, two_cal)]
        assert pixels == [3 * 40 * 40] * 2
    learned = [name for name in one_model if name.startswith("thresholds.")]
    assert len(learned) == 2
    for name in learned:
        torch.testing.assert_close(one_model[name], two_model[name], atol=1e-4, rtol=1e-3)


class Method:
    def __init__(self):
        self.tally = {}


class Trainer:
    """As much of one as the hook asks for."""

    def __init__(self, max_iter):
        self.iter, self.max_iter, self.put = -1, max_iter, []
        self.storage = self

    def put_scalars(self, smoothing_hint, **values):
        self.put.append((self.iter, values))


def test_the_hook_empties_the_tally_every_period_and_after_the_last(log):
    method, trainer = Method(), Trainer(5)
    hook = Drift(method, ("water", "road"), 2)
    hook.trainer = trainer
    for trainer.iter in range(5):
        for name in ("labeled/local", "kept/local"):
            old = method.tally.get(name, torch.zeros(2, dtype=torch.int64))
            method.tally[name] = old + torch.tensor([3, trainer.iter])
        hook.after_step()
    assert [step for step, _ in trainer.put] == [1, 3, 4]
    shares = [values["pseudo_share/local/road"] for _, values in trainer.put]
    assert shares == pytest.approx([1 / 7, 5 / 11, 4 / 7])


def test_alarms_are_warnings_and_are_saved(log):
    method, trainer = Method(), Trainer(1000)
    hook = Drift(method, ("water", "road"), 1)
    hook.trainer = trainer
    for trainer.iter in range(PATIENCE):
        method.tally = {
            "labeled/local": torch.tensor([90, 10]),
            "kept/local": torch.tensor([90, 0]),
            "truth": torch.tensor([30, 70]),
        }
        hook.after_step()
    (record,) = [r for r in log.records if "Class water takes over" in r.message]
    assert record.levelname == "WARNING"
    other = Drift(method, ("water", "road"), 1)
    other.load_state_dict(json.loads(json.dumps(hook.state_dict())))
    assert other.alarms == hook.alarms


def test_tallies_of_all_processes_are_one_exchange(monkeypatch):
    exchanged = []
    monkeypatch.setattr(drift, "sum_over_processes", lambda x: exchanged.append(x) or 2 * x)
    found = summed({"a": torch.tensor([1, 2]), "teaches": torch.tensor(5)})
    assert len(exchanged) == 1
    assert found["a"].tolist() == [2, 4] and found["teaches"].item() == 10


def test_no_mask_of_an_unlabelled_image_is_opened_unless_asked_for(cfg, train, toy, monkeypatch):
    from co2s.data import get_records
    from co2s.data.reading import samples

    unlabeled = {Path(r["file_name"]).stem for r in get_records("engine_toy_1_4_unlabeled")}
    opened = []
    real = samples.read_classes

    def read(path, *rest):
        opened.append(Path(path))
        return real(path, *rest)

    monkeypatch.setattr(samples, "read_classes", read)
    cfg.SOLVER.MAX_ITER, cfg.DATASETS.TEST = 8, ()
    cfg.MODEL.META_ARCHITECTURE = "FixMatch"

    def of_unlabeled():
        found = {p.stem for p in opened if p.parent == toy / "train" / "labels"} & unlabeled
        opened.clear()
        return found

    train(cfg)
    assert of_unlabeled() == set()
    cfg.DATASETS.DIAGNOSE = True
    train(cfg)
    assert of_unlabeled()
    assert np.isfinite(told(cfg)["precision/local"][7])
