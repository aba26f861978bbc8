"""Two processes give the losses of one, and score each image exactly once."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from co2s.engine.processes import TIMEOUT, seconds
from co2s.evaluation.metrics import read_metrics
from co2s.tool import LOST, STOPPED

TRAIN = Path(__file__).parents[2] / "tools" / "train_net.py"


@pytest.fixture
def short(toy_cfg, written):
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.IMS_PER_BATCH = 8, 2
    toy_cfg.SOLVER.CHECKPOINT_PERIOD = 100
    toy_cfg.TEST.PANELS = toy_cfg.TEST.SNAPSHOTS = 0
    toy_cfg.TEST.CALIBRATE = False
    toy_cfg.MODEL.LOCAL.BACKBONE.DEPTH, toy_cfg.MODEL.LOCAL.BACKBONE.FEATURES = 3, [0, 0, 1]
    return written()


def run(cfg, run_processes, processes):
    output = run_processes(cfg, processes)
    scores = Path(cfg.OUTPUT_DIR, "inference", "engine_toy_val", "scores.json")
    return json.loads(output.read_text()), json.loads(scores.read_text())


@pytest.mark.parametrize("method", ["Co2S", "FixMatch"])
def test_two_processes_equal_one(toy_cfg, run_processes, method):
    toy_cfg.MODEL.META_ARCHITECTURE = method
    toy_cfg.MODEL.FIXMATCH.THRESHOLD, toy_cfg.MODEL.EMA_DECAY = 0.5, 0.9
    # The deepest map is not the last block's: the last one would have no gradient.
    toy_cfg.MODEL.LOCAL.BACKBONE.DEPTH, toy_cfg.MODEL.LOCAL.BACKBONE.FEATURES = 3, [0, 0, 1]
    toy_cfg.SOLVER.MAX_ITER = 10
    toy_cfg.SOLVER.IMS_PER_BATCH = 4
    toy_cfg.TEST.EVAL_PERIOD = 5
    (one, one_scores), (two, two_scores) = (run(toy_cfg, run_processes, n) for n in (1, 2))
    assert one["losses"].keys() == two["losses"].keys()
    assert len(one["losses"]["total_loss"]) == 10
    for name, values in one["losses"].items():
        assert two["losses"][name] == pytest.approx(values, abs=1e-4), name
    assert (
        one["losses"]["loss_stability_local" if method == "Co2S" else "loss_strong_local"][-1] > 0
    ), "pseudo-labels take part"
    # 3 images do not divide by 2 processes, and yet each is counted once
    assert one_scores["images"] == two_scores["images"] == 3
    pixels = [sum(map(sum, s["confusion"]["fused"])) for s in (one_scores, two_scores)]
    assert pixels == [3 * 40 * 40] * 2


def test_torchrun_is_two_processes_of_one_run(toy_cfg, tmp_path):
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.IMS_PER_BATCH = 3, 4
    toy_cfg.DATASETS.SPECS = (str(tmp_path / "engine_toy.yaml"),)
    (tmp_path / "cfg.yaml").write_text(toy_cfg.dump())
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    weights = []
    for name, before, after in (
        ("torchrun", torchrun, []),
        ("launch", [], ["--num-gpus", "2", "--dist-url", "auto"]),
    ):
        command = [sys.executable, *before, TRAIN, "--config-file", tmp_path / "cfg.yaml", *after]
        command += ["OUTPUT_DIR", tmp_path / name]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(x) for x in command], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert "World size: 2" in done.stdout
        weights.append(torch.load(tmp_path / name / "model_final.pth", weights_only=True)["model"])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_a_killed_process_ends_the_run_and_is_named(nursery, short, tmp_path):
    ending = {"rank": 1, "since": "start", "calls": 30_000, "do": "kill"}
    two = ["--num-gpus", 2, "--dist-url", "auto"]
    codes, said = nursery.run(tmp_path / "run", "--config-file", short, *two, ending=ending)
    assert codes == [LOST]
    assert "Process 1 of 2 was ended by SIGKILL" in said[0]
    assert "--resume goes on from the last checkpoint" in said[0]
    assert "Traceback" not in said[0]


def test_a_process_that_stands_still_ends_the_run_in_time(nursery, short, tmp_path):
    ending = {"rank": 1, "since": "start", "calls": 30_000, "do": "stop"}
    two = ["--num-gpus", 2, "--dist-url", "auto"]
    codes, said = nursery.run(
        tmp_path / "run", "--config-file", short, *two, ending=ending, environment={TIMEOUT: "3"}
    )
    assert codes == [LOST]
    assert "Process 0 of 2 has lost another one, which was ended or does not answer" in said[0]
    assert "Traceback" not in said[0]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_data_worker_ends_the_run_and_is_named(nursery, short, tmp_path, processes):
    ending = {"rank": processes - 1, "since": "start", "calls": 30_000, "do": "worker"}
    command = ["--config-file", short, "DATALOADER.NUM_WORKERS", 2]
    two = ["--num-gpus", processes, "--dist-url", "auto"]
    codes, said = nursery.run(tmp_path / "run", *two, *command, ending=ending)
    assert codes == [LOST], said[0][-3000:]
    assert re.search(rf"A data worker \(pid \d+\) of process {processes - 1} .*killed", said[0])
    assert "set a smaller DATALOADER.NUM_WORKERS" in said[0]
    assert "Traceback" not in said[0]


def test_a_signal_to_the_parent_is_for_all_processes(nursery, short, tmp_path):
    ending = {"rank": 1, "since": "start", "calls": 30_000, "do": "term parent"}
    two = ["--num-gpus", 2, "--dist-url", "auto"]
    codes, said = nursery.run(tmp_path / "run", "--config-file", short, *two, ending=ending)
    assert codes == [STOPPED]
    assert "Told to stop: saved after step" in said[0] and "Traceback" not in said[0]


def test_a_timeout_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(TIMEOUT, "ten minutes")
    with pytest.raises(ValueError, match="CO2S_TIMEOUT is 'ten minutes'"):
        seconds()


ABORTING = """
import argparse, ctypes
from co2s.engine.processes import run_in_processes

def abort_at_the_end(args):
    libc = ctypes.CDLL(None)
    abort = ctypes.cast(libc.abort, ctypes.c_void_p)
    libc.__cxa_atexit(abort, None, None)  # as a library does whose threads still run

if __name__ == "__main__":
    numbers = dict(num_gpus=2, num_machines=1, machine_rank=0)
    run_in_processes(abort_at_the_end, argparse.Namespace(**numbers, dist_url="auto"))
"""


def test_what_libraries_do_at_the_end_fails_no_process_that_is_through(tmp_path):
    script = tmp_path / "aborting.py"
    script.write_text(ABORTING)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def losses(folder):
    return {n: series for n, series in read_metrics(str(folder)).items() if "loss" in n}


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_run_goes_on_with_another_number_of_processes(nursery, short, tmp_path, before, after):
    command = ["--config-file", short, "SOLVER.IMS_PER_BATCH", 4]
    for name, first, second in (("whole", 1, 1), ("changed", before, after)):
        ending = {"rank": 0, "since": "start", "calls": 60_000, "do": "term"}
        codes, said = nursery.run(
            tmp_path / name, *command, processes=first, ending=ending, log_period=1
        )
        assert codes == [STOPPED] * first, said[0][-2000:]
        codes, said = nursery.run(
            tmp_path / name, "--resume", *command, processes=second, log_period=1
        )
        assert codes == [0] * second, said[0][-2000:]
    whole, changed = (losses(tmp_path / name / "out") for name in ("whole", "changed"))
    assert whole.keys() == changed.keys() and len(whole["total_loss"][0]) == 8
    for name, (steps, values) in whole.items():
        assert changed[name][0] == steps
        assert changed[name][1] == pytest.approx(values, abs=1e-5), name
