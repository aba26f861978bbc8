"""--dry-run: what there is to do, and how long it takes, from finished cells or a few steps."""

import json
from pathlib import Path

import pytest
import torch

from co2s.d2 import CfgNode, DatasetCatalog
from co2s.engine.floors import floors
from co2s.engine.runner import estimate, measure
from co2s.engine.runner.estimate import Time, left_of, makespan, measured, state_of, steps_made
from co2s.engine.runner.lock import Lock
from co2s.engine.runner.plan import plan


@pytest.fixture
def cut(stubbed):
    """A function (cell): it was cut after 3 of its 6 steps."""

    def make(cell):
        folder = stubbed.output / cell.cfg.OUTPUT_DIR.rpartition("/")[2]
        folder.mkdir(parents=True)
        torch.save({}, folder / "model_0000002.pth")
        (folder / "last_checkpoint").write_text("model_0000002.pth")

    return make


def test_the_plan(stubbed, cut):
    bench = stubbed.bench("OnlySup", "Co2S", "FixMatch", seeds=(0, 1, 2))
    stubbed.prepare(bench)
    by_name = {(c.entry.method, c.cfg.SEED): c for c in bench.all_cells}
    stubbed.run(stubbed.bench("OnlySup", seeds=(0,)))
    cut(by_name["Co2S", 0])
    lock = Lock(by_name["Co2S", 1].job.folder)
    assert lock.acquire()
    states = [state_of(by_name[method, s].job) for method in ("OnlySup", "Co2S") for s in (0, 1)]
    assert states == ["done", "to do", "cut", "running"]
    asked = []

    def measure(cell):
        asked.append(cell.entry.method)
        return Time(None, "not measured: why") if len(asked) > 1 else Time(600.0, "measured")

    text = plan([bench.all_cells], {"floors": Time(600.0, ""), "more": Time(0.0, "")}, 2, measure)
    lock.release()
    assert asked == ["Co2S", "FixMatch"], "OnlySup's time is known: an hour"
    assert "9 cells: 1 done, 1 running, 1 cut, 6 to do." in text
    # Two hours of OnlySup, 25 minutes of Co2S, 10 of floors: 60 and 60 + 5, then 10 + 10 + 10.
    assert "What is left takes about 80 min with 2 at once." in text
    assert "floors: to do, about 10 min." in text and "more: done." in text
    assert "3 cells are not in that" in text and "not measured: why" in text
    assert len(stubbed.started()) == 1, "nothing more was started"


def test_what_is_left_of_a_cell_that_was_cut(stubbed, cut):
    (cell,) = stubbed.bench("Co2S").all_cells
    assert (steps_made(cell.job), left_of(cell, 60.0)) == (0, 60.0)
    cut(cell)
    assert (steps_made(cell.job), left_of(cell, 60.0)) == (3, 30.0)


def test_the_last_slot_decides():
    assert makespan([5, 1, 1, 1, 4], 2) == 7  # 5 | 1 1 1 4
    assert makespan([5, 1], 4) == 5 and makespan([5, 1], 1) == 6


def test_a_measured_cell_is_steps_and_evaluations(stubbed, monkeypatch):
    (cell,) = stubbed.bench("Co2S").all_cells
    commands = []

    def run(command, **options):
        commands.append(command)
        found = {"steps": 100, "step": 0.5, "evaluations": 3, "evaluation": 2.0}
        with open(command[3], "w") as file:
            json.dump(found, file)
        return CfgNode({"returncode": 0, "stderr": ""})

    monkeypatch.setattr(estimate.subprocess, "run", run)
    assert measured(cell, {}) == Time(56.0, "measured: 0.50 s a step")
    ((_, _, module, _, *arguments),) = commands
    assert module == measure.__name__ and arguments[:2] == ["--config-file", str(stubbed.config)]
    assert arguments[-2] == "OUTPUT_DIR" and arguments[-1] != cell.cfg.OUTPUT_DIR
    monkeypatch.setattr(
        estimate.subprocess,
        "run",
        lambda *a, **k: CfgNode({"returncode": 2, "stderr": "x\nno such weights\n"}),
    )
    assert measured(cell, {}) == Time(None, "not measured: no such weights")


def test_floors_that_are_not_through_are_timed_by_the_image(stubbed, monkeypatch):
    bench = stubbed.bench("OnlySup", floors=True)
    (parts,) = bench.floors.values()
    cfgs = [cfg for part in parts.values() for cfg in part]
    done = Path(cfgs[0].OUTPUT_DIR)
    done.mkdir(parents=True)
    (done / "report.json").write_text("{}")
    images = []

    def run(command, **options):
        _, file, folder = command[2:]
        images.append(measure.read_floor(Path(folder)).MODEL.LINEAR.BACKBONE.NAME)
        Path(file).write_text(json.dumps({"images": 100, "image": 0.25}))
        return CfgNode({"returncode": 0, "stderr": ""})

    monkeypatch.setattr(estimate.subprocess, "run", run)
    assert estimate.floors_left(cfgs, {}).seconds == 25.0 * (len(cfgs) - 1)
    assert images == [cfg.MODEL.LINEAR.BACKBONE.NAME for cfg in cfgs[1:]]
    assert estimate.floors_left(cfgs[:1], {}).seconds == 0
    failed = CfgNode({"returncode": 2, "stderr": "no such data\n"})
    monkeypatch.setattr(estimate.subprocess, "run", lambda *a, **k: failed)
    assert estimate.floors_left(cfgs, {}) == Time(None, "not measured: no such data")


def test_a_floor_looks_at_labelled_and_test_images(toy_cfg, complete, monkeypatch):
    (cfg, *_) = floors(complete(toy_cfg, training=True)).values()
    clock = iter(range(100))
    monkeypatch.setattr(measure, "_now", lambda: float(next(clock)))
    found = measure.measure_floor(cfg)
    labeled = len(DatasetCatalog.get(cfg.DATASETS.LABELED[0]))
    assert found == {"images": labeled + 3, "image": 0.5}


def test_measuring_makes_a_few_steps_and_saves_none(toy_cfg, complete, tmp_path, monkeypatch):
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.TEST.EVAL_PERIOD = 100, 40
    cfg = complete(toy_cfg, training=True)
    clock = iter(range(100))
    monkeypatch.setattr(measure, "_now", lambda: float(next(clock)))
    steps, run_step = [], measure.SemiSupervisedTrainer.run_step

    def counted(trainer):
        steps.append(trainer.iter)
        run_step(trainer)

    monkeypatch.setattr(measure.SemiSupervisedTrainer, "run_step", counted)
    found = measure.measure(cfg)
    # Two evaluations on the way, the temperatures, the report; three images, two of them timed.
    assert found == {"steps": 100, "step": 0.2, "evaluations": 4, "evaluation": 1.5}
    assert steps == [*range(7)]
    assert not [*tmp_path.glob("out/*.pth")]
