"""SIGTERM and SIGUSR1: all processes stop after the same step, saved, with exit code 75."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from co2s.tool import STOPPED


@pytest.fixture
def config(toy_cfg, written):
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.IMS_PER_BATCH = 8, 2
    toy_cfg.SOLVER.CHECKPOINT_PERIOD, toy_cfg.TEST.EVAL_PERIOD = 100, 5
    toy_cfg.TEST.PANELS = toy_cfg.TEST.SNAPSHOTS = 0
    toy_cfg.TEST.CALIBRATE = False
    toy_cfg.MODEL.LOCAL.BACKBONE.DEPTH, toy_cfg.MODEL.LOCAL.BACKBONE.FEATURES = 3, [0, 0, 1]
    return written()


def last(folder):
    return torch.load(Path(folder, "out", "model_final.pth"), weights_only=True)


@pytest.mark.parametrize(("processes", "name"), [(1, "term"), (2, "usr1")])
def test_a_signal_saves_and_the_run_goes_on_bit_for_bit(nursery, config, tmp_path, processes, name):
    """Of two processes only the second one is told."""
    command = ["--config-file", config, "DATALOADER.NUM_WORKERS", 1]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    codes, said = nursery.run(whole, *command, processes=processes)
    assert codes == [0] * processes, said[0][-3000:]
    ending = {"rank": processes - 1, "since": "start", "calls": 30_000, "do": name}
    codes, said = nursery.run(cut, *command, processes=processes, ending=ending)
    assert codes == [STOPPED] * processes, said[0][-3000:]
    (steps,) = re.findall(r"Told to stop: saved after step (\d+). Go on with --resume.", said[0])
    assert 0 < int(steps) < 5, "and not only before the evaluation"
    assert Path(cut, "out", "last_checkpoint").read_text() == f"model_{int(steps) - 1:07d}.pth"
    assert all("Traceback" not in text for text in said)
    codes, said = nursery.run(cut, "--resume", *command, processes=processes)
    assert codes == [0] * processes, said[0][-3000:]
    assert f"Starting training from iteration {steps}" in said[0]
    weights = last(whole)["model"], last(cut)["model"]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    reports = [json.loads(Path(x, "out", "report.json").read_text()) for x in (whole, cut)]
    assert reports[0] == reports[1]


def test_a_signal_during_an_evaluation_waits_for_nothing(nursery, config, tmp_path):
    ending = {"rank": 0, "since": "evaluation", "calls": 500, "do": "term"}
    codes, said = nursery.run(tmp_path / "cut", "--config-file", config, ending=ending)
    assert codes == [STOPPED]
    assert "Traceback" not in said[0] and "mIoU" not in said[0], "it was not evaluated to its end"
    codes, said = nursery.run(tmp_path / "cut", "--resume", "--config-file", config)
    assert codes == [0] and "Starting training from iteration 5" in said[0]
    assert "after step 4" in said[0], "the evaluation is made up"


def test_a_second_signal_ends_at_once(nursery, config, tmp_path):
    ending = {"rank": 0, "since": "start", "calls": 20_000, "do": "term twice"}
    codes, said = nursery.run(
        tmp_path / "cut", "--config-file", config, ending=ending, one_signal=-1.0
    )
    assert codes == [STOPPED]
    assert "Told to stop" not in said[0]
    assert not list(Path(tmp_path, "cut", "out").glob("*.pth"))


def test_torchrun_passes_sigterm_on(config, tmp_path):
    train = Path(__file__).parents[2] / "tools" / "train_net.py"
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", train]
    command += ["--config-file", config, "SOLVER.MAX_ITER", 100_000, "TEST.EVAL_PERIOD", 0]
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(
            [sys.executable, *map(str, command)], cwd=tmp_path, stdout=said, stderr=said
        )
        log = tmp_path / "out" / "log.txt"
        while run.poll() is None and not (log.exists() and "UnlabeledDraws" in log.read_text()):
            time.sleep(0.1)  # until it trains
        run.send_signal(signal.SIGTERM)
        assert run.wait() != 0
    (steps,) = re.findall(r"Told to stop: saved after step (\d+)", log.read_text())
    assert Path(tmp_path, "out", "last_checkpoint").read_text() == f"model_{int(steps) - 1:07d}.pth"
    assert "train_net.py" not in (tmp_path / "said").read_text().partition("Told to stop")[2]
