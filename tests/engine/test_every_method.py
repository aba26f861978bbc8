"""Every registered method, on one student and on two: twenty steps, scores, a checkpoint."""

import json
import math
from pathlib import Path

import pytest

from co2s.engine.drift import Drift

# Pretraining has no labels to learn from and nothing to score: test_pretrain.py has its methods.
ONE, TWO = ("local",), ("global", "local")


@pytest.mark.parametrize("students", [ONE, TWO], ids=["1", "2"])
def test_method(toy_cfg, train, eager, any_method, students):
    if (any_method, students) == ("Co2S", ONE):
        return  # it says that it needs two, as the next test has it
    toy_cfg.MODEL.META_ARCHITECTURE, toy_cfg.MODEL.STUDENTS = any_method, students
    eager(toy_cfg)
    for node in ("CO2S", "FIXMATCH", "UNIMATCH", "UNIMATCHV2"):
        toy_cfg.MODEL[node].THRESHOLD = 0.5
    toy_cfg.MODEL.EMA_DECAY = 0.9
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.TEST.EVAL_PERIOD = 20, 20
    trainer, results = train(toy_cfg)
    predictions = {*students, "fused"} if students == TWO else {*students}
    assert set(results) == predictions | {"sem_seg"}
    assert results["sem_seg"]["mIoU"] == results["fused" if students == TWO else "local"]["mIoU"]
    (drift,) = (hook for hook in trainer._hooks if isinstance(hook, Drift))
    assert drift.alarms.filters == bool(trainer.method.thresholds)
    report = json.loads(Path(toy_cfg.OUTPUT_DIR, "report.json").read_text())
    assert set(report["scores"]["engine_toy_val"]) == predictions | {"sem_seg"}
    histories = trainer.storage.histories()
    losses = {name: history.values() for name, history in histories.items() if "loss" in name}
    assert all(math.isfinite(value) for values in losses.values() for value, _ in values)
    # A loss that is alone is only called the total.
    alone = ["total_loss"] if len(losses) == 1 else []
    assert {name.rsplit("_", 1)[1] for name in losses} - {"loss"} == {
        *(students if not alone else [])
    }
    for name in alone or [f"loss_sup_{student}" for student in students]:
        assert losses[name][-1][0] < losses[name][0][0], name
    # What no loss reads is not there: neither a node's model nor its prototypes.
    assert set(trainer.method.students) == {*students}
    panels = Path(toy_cfg.OUTPUT_DIR, "inference/engine_toy_val/panels")
    assert [path.name for path in panels.glob("00*")] == ["00000_val_images_0.png"]


def test_co2s_says_that_it_needs_two(toy_cfg, train):
    toy_cfg.MODEL.STUDENTS = ONE
    with pytest.raises(ValueError, match=r"Co2S needs two students.*\['local'\].*UniMatch"):
        train(toy_cfg)


def test_only_sup_reads_no_unlabelled_image(toy_cfg, train, toy):
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    from co2s.data import get_records

    for record in get_records("engine_toy_1_4_unlabeled"):
        Path(record["file_name"]).write_bytes(b"no picture")
    toy_cfg.SOLVER.MAX_ITER = 2
    train(toy_cfg)
