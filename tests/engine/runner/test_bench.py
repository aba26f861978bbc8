"""The whole of it with real trainings, and how it ends."""

import json
import os
import signal
import time
from argparse import Namespace
from pathlib import Path

import pytest

from co2s.engine.runner import Group, floor_process, run_bench

ROOT = Path(__file__).parents[3]
TRAIN = ROOT / "tools" / "train_net.py"


@pytest.fixture
def arguments(tmp_path):
    def make(*methods, **more):
        given = {"seeds": [0], "opts": [], "floors": False, "ray": None, "dry_run": False}
        return Namespace(methods=[*methods], **{**given, "jobs": 1, **more})

    return make


def test_two_methods_two_seeds_two_jobs(written, toy_cfg, tmp_path, arguments, monkeypatch, capsys):
    toy_cfg.SOLVER.MAX_ITER = 4
    toy_cfg.TEST.CALIBRATE, toy_cfg.TEST.PANELS, toy_cfg.TEST.SNAPSHOTS = False, 0, 0
    config = written()
    monkeypatch.chdir(tmp_path)
    group = Group("toy", str(config), Path("runs"), Path("runs/toy"))
    run_bench(arguments("OnlySup", "Co2S", seeds=[0, 1], jobs=2, floors=True), [group], TRAIN)
    said = capsys.readouterr().out
    table = Path("runs/toy.md").read_text()
    assert table in said and "0 of 5 cells are done, 5 are to do" in said
    rows = [[x.strip() for x in r.split("|")] for r in table.splitlines() if r.startswith("| ")]
    assert [row[1] for row in rows[1:]] == [
        "Floor: colour statistics",
        "Floor: global backbone, random",
        "Floor: local backbone, random",
        "OnlySup",
        "Co2S",
    ]
    *scores, interval, gain, seeds, steps = rows[-1][2:9]
    reports = [Path("runs", f"Co2S_seed{seed}", "report.json") for seed in (0, 1)]
    found = [json.loads(path.read_text())["scores"]["engine_toy_val"] for path in reports]
    expected = [sum(run[name]["mIoU"] for run in found) / 2 for name in rows[0][2:5]]
    assert rows[0][2:5] == ["global", "local", "fused"]
    assert [float(text.split(" ± ")[0]) for text in scores] == pytest.approx(expected, abs=0.051)
    assert " to " in interval and gain[0] in "+-" and (seeds, steps) == ("2", "4")
    # Floors: under the prediction that counts, with an interval; one colour, one ViT a seed.
    assert [row[2:4] for row in rows[1:4]] == [["", ""]] * 3 and " to " in rows[1][5]
    assert [[text.count("±") for text in row[4:5]] for row in rows[1:4]] == [[0], [1], [1]]
    floors = [str(path.parent) for path in Path("runs/floors").glob("*/report.json")]
    assert len(floors) == 5
    monkeypatch.setattr(floor_process, "score_floor", None)
    floor_process.main(floors)  # what is through is not fitted again


def test_exit_codes(stubbed, arguments, capsys):
    bench = stubbed.bench("OnlySup", "Co2S")
    stubbed.prepare(bench, behaviour=lambda c: "fail" if c.entry.method == "Co2S" else "")
    group = Group("", str(stubbed.config), stubbed.output, stubbed.output / "comparison")
    with pytest.raises(SystemExit) as ended:
        run_bench(arguments("OnlySup", "Co2S"), [group], Path(__file__).with_name("stub.py"))
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "Failed: Co2S, seed 0: stub: the disk is gone" in said
    assert "| OnlySup" in said and "| Co2S" in said, "the table of what there is"
    run_bench(arguments("OnlySup"), [group], Path("gone.py"))
    assert "1 of 1 cells are done, 0 are to do." in capsys.readouterr().out


def test_a_signal_ends_it_to_be_gone_on_with(stubbed, arguments, forked):
    bench = stubbed.bench("Co2S")
    stubbed.prepare(bench, behaviour=lambda cell: "wait")
    group = Group("", str(stubbed.config), stubbed.output, stubbed.output / "comparison")
    stub = Path(__file__).with_name("stub.py")
    pid = forked(lambda: run_bench(arguments("Co2S", "OnlySup"), [group], stub))
    deadline = time.monotonic() + 30
    while not stubbed.started() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 75
    assert stubbed.started("saved") == stubbed.started() == ["Co2S_seed0"]
    assert "| Co2S" in (stubbed.output / "comparison.md").read_text()


def test_a_dry_run_writes_nothing(stubbed, arguments, capsys, monkeypatch):
    from co2s.engine.runner import bench
    from co2s.engine.runner.estimate import Time

    monkeypatch.setattr(bench, "measured", lambda cell, environment: Time(7200.0, "measured"))
    monkeypatch.setattr(bench, "floors_left", lambda cfgs, environment: Time(90.0, "measured"))
    group = Group("toy", str(stubbed.config), stubbed.output, stubbed.output / "toy")
    run_bench(arguments("Co2S", jobs=2, seeds=[0, 1, 2], dry_run=True, floors=True), [group], TRAIN)
    said = capsys.readouterr().out
    assert "3 cells: 3 to do." in said and "toy: floors: to do, about 2 min." in said
    assert "What is left takes about 4.0 h with 2 at once." in said
    assert not stubbed.output.exists()
