"""The twin of a run: trained once, found again, refused where it is another's; the sentence."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.engine import SemiSupervisedTrainer
from co2s.engine.report import options
from co2s.engine.twin import check_baseline, sentence, train_twin, twin_cfg, write_twin


@pytest.fixture
def run(toy_cfg, train, no_pictures):
    """A function (**opts) that trains a run of four steps; its configuration and results."""

    def make(method="FixMatch", **keywords):
        toy_cfg.MODEL.META_ARCHITECTURE = method
        toy_cfg.SOLVER.MAX_ITER, toy_cfg.TEST.CALIBRATE = 4, False
        trainer, results = train(toy_cfg, **keywords)
        return trainer.cfg, results

    return make


@pytest.fixture
def steps(monkeypatch):
    """The folders of the steps that are made, one entry a step."""
    made = []
    real = SemiSupervisedTrainer.run_step

    def step(self):
        made.append(Path(self.cfg.OUTPUT_DIR).name)
        real(self)

    monkeypatch.setattr(SemiSupervisedTrainer, "run_step", step)
    return made


def stored(cfg, *names):
    return json.loads(Path(cfg.OUTPUT_DIR, *names).read_text())


def test_the_twin_is_the_same_students_on_the_labelled_images_alone(run, steps, log):
    cfg, results = run()
    assert not Path(cfg.OUTPUT_DIR, "twin.json").exists()
    train_twin(cfg, SemiSupervisedTrainer)
    assert steps == ["out"] * 4 + ["labeled_only"] * 4
    own, mine = stored(cfg, "labeled_only", "report.json"), stored(cfg, "report.json")
    differ = {key for key, value in own["options"].items() if value != mine["options"][key]}
    assert differ == {"MODEL.META_ARCHITECTURE", "OUTPUT_DIR"}
    twin = stored(cfg, "twin.json")
    scores = own["scores"]["engine_toy_val"]["sem_seg"]["mIoU"]
    assert twin["without"] == pytest.approx(scores)
    assert twin["with"] == pytest.approx(results["sem_seg"]["mIoU"])
    assert twin["gain"] == pytest.approx(twin["with"] - twin["without"])
    assert twin["interval"][0] <= twin["gain"] <= twin["interval"][1]
    assert (twin["images"], twin["twin"]) == (3, "labeled_only")
    assert twin["sentence"] in log.text and f"{twin['gain']:+.1f} points" in twin["sentence"]


def test_both_start_from_the_same_weights(toy_cfg, train, no_pictures):
    toy_cfg.MODEL.META_ARCHITECTURE, toy_cfg.SOLVER.MAX_ITER = "FixMatch", 1
    toy_cfg.SOLVER.BASE_LR = 0.0
    trainer, _ = train(toy_cfg)
    train_twin(trainer.cfg, SemiSupervisedTrainer)
    files = [Path(toy_cfg.OUTPUT_DIR, name, "model_final.pth") for name in ("", "labeled_only")]
    one, two = (torch.load(path, weights_only=True)["model"] for path in files)
    names = [name for name in one if name.startswith("students.")]
    assert names and all(torch.equal(one[name], two[name]) for name in names)


def test_what_is_through_is_not_trained_again_and_what_was_cut_goes_on(run, steps, monkeypatch):
    cfg, _ = run()
    real, left = SemiSupervisedTrainer.run_step, [3]

    def killed(self):
        if not left[0]:
            raise RuntimeError("killed")
        left[0] -= 1
        real(self)

    monkeypatch.setattr(SemiSupervisedTrainer, "run_step", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train_twin(cfg, SemiSupervisedTrainer)
    assert not Path(cfg.OUTPUT_DIR, "twin.json").exists()
    left[0], steps[:] = 100, []
    train_twin(cfg, SemiSupervisedTrainer)
    assert steps == ["labeled_only"] * 2, "from the checkpoint after the second step on"
    before, report = stored(cfg, "twin.json"), Path(cfg.OUTPUT_DIR, "labeled_only", "report.json")
    written = report.stat().st_mtime_ns
    steps.clear()
    train_twin(cfg, SemiSupervisedTrainer)
    assert steps == [] and stored(cfg, "twin.json") == before
    assert report.stat().st_mtime_ns == written, "and not scored again"


def test_a_later_report_finds_the_twin(run, log):
    cfg, _ = run()
    train_twin(cfg, SemiSupervisedTrainer)
    before = stored(cfg, "twin.json")
    Path(cfg.OUTPUT_DIR, "twin.json").unlink()
    run(resume=True)  # only reports
    assert stored(cfg, "twin.json") == before


def test_a_twin_of_other_options_is_not_compared_and_not_trained_over(run, complete, toy_cfg, log):
    cfg, _ = run()
    train_twin(cfg, SemiSupervisedTrainer)
    toy_cfg.SOLVER.BASE_LR = 0.5
    other = complete(toy_cfg, training=True)
    with pytest.raises(ValueError, match=r"labeled_only holds .*\n  SOLVER.BASE_LR: 0.001 there"):
        check_baseline(other)
    assert write_twin(other) is None
    assert "Not compared" in log.text and not Path(cfg.OUTPUT_DIR, "twin.json").exists()
    toy_cfg.SOLVER.BASE_LR = 1e-3
    toy_cfg.MODEL.FIXMATCH.THRESHOLD, toy_cfg.DATALOADER.NUM_WORKERS = 0.3, 1
    same = complete(toy_cfg, training=True)
    check_baseline(same)  # nothing that the twin reads
    assert write_twin(same)["gain"] == stored(cfg, "twin.json")["gain"]


def test_half_a_twin_of_other_options_is_refused_too(run, complete, toy_cfg):
    cfg, _ = run()
    own = twin_cfg(cfg)
    folder = Path(own.OUTPUT_DIR)
    folder.mkdir()
    (folder / "config.yaml").write_text(own.dump())
    check_baseline(cfg)
    toy_cfg.SEED = 5
    with pytest.raises(ValueError, match="SEED: 1 there, 5 here"):
        check_baseline(complete(toy_cfg, training=True))
    assert options(own) == options(twin_cfg(cfg))


def test_scores_that_are_not_the_reports_are_not_compared(run, log):
    cfg, _ = run()
    train_twin(cfg, SemiSupervisedTrainer)
    path = Path(cfg.OUTPUT_DIR, "labeled_only", "report.json")
    report = json.loads(path.read_text())
    report["scores"]["engine_toy_val"]["sem_seg"]["mIoU"] += 1
    path.write_text(json.dumps(report))
    assert write_twin(cfg) is None
    assert "was scored again since" in log.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda cfg: cfg.MODEL.__setattr__("META_ARCHITECTURE", "OnlySup"), "is the baseline"),
        (lambda cfg: cfg.DATASETS.__setattr__("TEST", ()), "DATASETS.TEST, which is empty"),
    ],
)
def test_what_can_have_no_twin(toy_cfg, change, words):
    change(toy_cfg)
    with pytest.raises(ValueError, match=words):
        check_baseline(toy_cfg)


@pytest.mark.parametrize(
    ("gain", "interval", "words"),
    [
        (2.3, [1.1, 3.4], "gave +2.3 points of mIoU (95 % interval over 9 images 1.1 to 3.4; one"),
        (-1.0, [-2.0, -0.5], "harmed: -1.0 points of mIoU (95 % interval over 9 images -2.0 to"),
        (0.2, [-0.5, 0.9], "made no clear difference: +0.2 points of mIoU"),
    ],
)
def test_the_sentence(gain, interval, words):
    part = {"gain": gain, "interval": interval, "images": 9}
    assert words in sentence(part)
    assert re.match("The unlabelled images .* on some_set", sentence(part, "some_set"))


def test_harm_is_a_warning(run, log, monkeypatch):
    from co2s.engine import twin

    cfg, _ = run()
    train_twin(cfg, SemiSupervisedTrainer)
    monkeypatch.setattr(twin, "paired_gain", lambda *a, **k: twin.Estimate(-3.0, -4.0, -2.0))
    log.clear()
    write_twin(cfg)
    assert [r.levelname for r in log.records if "harmed: -3.0" in r.message] == ["WARNING"]
    assert np.isclose(stored(cfg, "twin.json")["gain"], -3.0)
