"""Calibration of a run: what is written and saved, and that it happens once."""

import json
from pathlib import Path

import pytest
import torch

from co2s.d2 import DetectionCheckpointer, build_model
from co2s.engine import calibration
from co2s.engine.checkpoints import started_from


@pytest.fixture
def cfg(toy_cfg, no_pictures):
    toy_cfg.MODEL.META_ARCHITECTURE, toy_cfg.SOLVER.MAX_ITER = "OnlySup", 4
    toy_cfg.TEST.EVAL_PERIOD = 2
    return toy_cfg


def described(cfg):
    return json.loads(Path(cfg.OUTPUT_DIR, "calibration.json").read_text())


def scored(cfg):
    return Path(cfg.OUTPUT_DIR, "inference/engine_toy_val/scores.json").read_bytes()


@pytest.fixture
def fits(monkeypatch):
    """The number of temperatures that were fitted."""
    made = []
    real = calibration.fit_temperature

    def fit(*sample):
        made.append(len(sample[1]))
        return real(*sample)

    monkeypatch.setattr(calibration, "fit_temperature", fit)
    return made


def test_the_best_checkpoint_holds_the_temperatures_and_all_else_as_before(cfg, train, fits, log):
    before = {}

    def save(checkpoint, *rest):
        before.update(torch.load(checkpoint, weights_only=True))
        real(checkpoint, *rest)

    real, calibration._save = calibration._save, save
    try:
        trainer, _ = train(cfg)
    finally:
        calibration._save = real
    found, content = described(cfg), torch.load(
        Path(cfg.OUTPUT_DIR, "model_best.pth"), weights_only=True
    )  # fmt: skip
    assert found.keys() == {"global", "local", "fused"} and len(fits) == 3
    for name, part in found.items():
        assert content["model"][f"temperatures.{name}"].item() == pytest.approx(part["temperature"])
        assert part["temperature"] != 1.0
        for when in ("before", "after"):
            assert sum(pixels for pixels, *_ in part[when]["bins"]) == 3 * 40 * 40
        # of the likelihood that was fitted; the error of 15 bins follows, as a rule
        assert part["after"]["ece"] < part["before"]["ece"] + 0.05
    assert content.keys() - before.keys() == {"calibration"}
    for key, value in before.items():
        if key != "model":
            assert str(content[key]) == str(value), key
    changed = {k for k, v in before["model"].items() if not torch.equal(v, content["model"][k])}
    assert changed == {f"temperatures.{name}" for name in found}
    assert "fitted on engine_toy_val, the very set that is reported" in log.text
    assert trainer.method.temperatures.values() == pytest.approx(
        {name: part["temperature"] for name, part in found.items()}
    )


def test_a_report_that_is_made_again_is_the_same(cfg, train, fits):
    train(cfg)
    files = ("calibration.json", "report.json", "model_best.pth", "model_final.pth")
    before = [Path(cfg.OUTPUT_DIR, name).read_bytes() for name in files] + [scored(cfg)]
    Path(cfg.OUTPUT_DIR, "calibration.json").unlink()
    fits.clear()
    train(cfg, resume=True)
    assert fits == []
    after = [Path(cfg.OUTPUT_DIR, name).read_bytes() for name in files] + [scored(cfg)]
    assert after == before


def test_scores_are_those_without_calibration(cfg, train, fits):
    _, one = train(cfg)
    cfg.TEST.CALIBRATE = False
    cfg.OUTPUT_DIR += "_raw"
    trainer, two = train(cfg)
    assert one == two and len(fits) == 3
    assert set(trainer.method.temperatures.values().values()) == {1.0}
    assert not Path(cfg.OUTPUT_DIR, "calibration.json").exists()


def test_confidences_of_a_checkpoint_are_the_calibrated_ones(cfg, train):
    trainer, _ = train(cfg)
    path = str(Path(cfg.OUTPUT_DIR, "model_best.pth"))
    model = build_model(started_from(trainer.cfg, path)).eval()
    DetectionCheckpointer(model).load(path)
    item = {"image": torch.randint(0, 256, (3, 40, 40), dtype=torch.uint8)}
    (calibrated,) = model([item])
    model.temperatures.set({})
    (raw,) = model([item])
    for key, probs in raw.items():
        assert not torch.allclose(calibrated[key], probs)
        assert torch.equal(calibrated[key].argmax(0), probs.argmax(0))


def test_without_a_best_the_last_checkpoint_is_calibrated_and_training_goes_on_from_one(
    cfg, train, fits
):
    cfg.TEST.EVAL_PERIOD = 0
    cfg.MODEL.STUDENTS = ("local",)
    train(cfg)
    last = Path(cfg.OUTPUT_DIR, "model_final.pth")
    first = torch.load(last, weights_only=True)["model"]["temperatures.local"]
    assert described(cfg).keys() == {"local"} and first != 1 and len(fits) == 1
    cfg.SOLVER.MAX_ITER = 6
    cfg.SOLVER.CHECKPOINT_PERIOD = 1
    train(cfg, resume=True)
    between = torch.load(Path(cfg.OUTPUT_DIR, "model_0000004.pth"), weights_only=True)
    assert between["model"]["temperatures.local"] == 1, "that of a former model"
    second = torch.load(last, weights_only=True)["model"]["temperatures.local"]
    assert len(fits) == 2 and second not in (1, first)


def test_another_set_to_calibrate_on_is_a_new_fit(cfg, train, fits, log):
    cfg.TEST.EVAL_PERIOD = 4  # one evaluation: whatever it is chosen on, the best is the last
    train(cfg)
    cfg.DATASETS.VAL = ("engine_toy_1_4_labeled",)
    fits.clear()
    train(cfg, resume=True)
    assert len(fits) == 3
    assert "Temperatures were fitted on engine_toy_1_4_labeled." in log.text
    found = described(cfg)
    cfg.OUTPUT_DIR += "_fresh"
    train(cfg)
    assert described(cfg) == found, "as if there had been no temperatures before"


def test_where_nothing_is_labelled_there_is_nothing_to_fit(cfg, train, log, monkeypatch):
    train(cfg)
    monkeypatch.setattr(calibration.Evidence, "pixels", 0)
    cfg.DATASETS.VAL = ("engine_toy_1_4_labeled",)
    trainer, _ = train(cfg, resume=True)
    assert "Not calibrated: not one pixel of engine_toy_1_4_labeled" in log.text
    assert set(trainer.method.temperatures.values().values()) == {1.0}
