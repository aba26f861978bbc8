"""Several processes: launching, talking, sharing out data, training in parallel."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from co2s.d2 import _installed


@pytest.mark.parametrize("source", ["lite", "detectron2"])
def test_two_processes(source, tmp_path):
    """One test for all of it: starting the processes takes seconds."""
    if source == "detectron2" and not _installed():
        pytest.skip("detectron2 is not installed: there is nothing to compare the subset with")
    script = Path(__file__).with_name("two_processes.py")
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(script), source, str(tmp_path)]
    done = subprocess.run(command, env=env, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    both = {name: [first[name], second[name]] for name in first}
    check_ranks_and_arguments(both)
    check_gathering(both)
    check_samplers(both)
    check_training(*both["train"])
    assert (tmp_path / "model_final.pth").exists()
    if source == "lite":
        check_failure((tmp_path / "failure.txt").read_text())


def check_ranks_and_arguments(both):
    assert both["ranks"] == [[0, 2, 0, 2], [1, 2, 1, 2]]
    assert both["main"] == [True, False]
    assert both["words"] == [["a", "b"]] * 2


def check_gathering(both):
    assert both["all_gather"] == [[{"rank": 0}, {"rank": 1}]] * 2
    assert both["gather"] == [[0, 1], []]
    assert both["gather_to_1"] == [[], [0, 1]]
    assert both["reduced"][0] == {"a": 2.0, "b": 1.5}
    assert both["seed"][0] == both["seed"][1]


def check_samplers(both):
    assert both["inference"] == [[0, 1, 2, 3], [4, 5, 6]]
    # Two rounds of a permutation of 5, shared out in turn.
    stream = [index for pair in zip(*both["training"], strict=True) for index in pair]
    assert sorted(stream[:5]) == sorted(stream[5:]) == [0, 1, 2, 3, 4]
    assert both["evaluated"] == [{"count": 7}, {}]


def check_training(first, second):
    assert first["wrapped"] == "DistributedDataParallel"
    assert first["weight"] == second["weight"] == first["loaded"] == second["loaded"]
    # The batches are 1 and 2, and so is loss_b: its mean is stored, on the main process.
    assert first["stored"]["loss_b"] == 1.5
    assert first["stored"]["total_loss"] == pytest.approx(1.5 + first["stored"]["loss_a"])
    assert "total_loss" not in second["stored"]


def check_failure(message):
    """A worker that fails ends the launch, and the worker that waits for it."""
    assert message.startswith("ProcessRaisedException")
    assert "rank 1 fails on purpose" in message


def test_one_process_is_this_one(d2):
    calls = []
    d2.launch(lambda *args: calls.append((os.getpid(), args)), 1, args=(1, 2))
    assert calls == [(os.getpid(), (1, 2))]


def test_a_free_port_is_for_one_machine(d2):
    with pytest.raises(AssertionError, match="auto"):
        d2.launch(print, 1, num_machines=2, dist_url="auto")


def test_more_processes_than_gpus(monkeypatch):
    module = importlib.import_module("co2s.d2.lite.launch")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(AssertionError, match="2 GPUs were asked for, this machine has 1"):
        module._worker(0, print, 2, 2, 0, None, (), module.DEFAULT_TIMEOUT)
