"""Two processes give the losses of one, and score each image exactly once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("losses_of_a_run.py")
TRAIN = Path(__file__).parents[2] / "tools" / "train_net.py"


def run(cfg, tmp_path, processes):
    cfg.OUTPUT_DIR = str(tmp_path / f"out{processes}")
    config, output = tmp_path / f"{processes}.yaml", tmp_path / f"{processes}.json"
    config.write_text(cfg.dump())
    command = [sys.executable, SCRIPT, config, tmp_path / "engine_toy.yaml", processes, output]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(x) for x in command], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    scores = tmp_path / f"out{processes}" / "inference" / "engine_toy_val" / "scores.json"
    return json.loads(output.read_text()), json.loads(scores.read_text())


@pytest.mark.parametrize("method", ["Co2S", "FixMatch"])
def test_two_processes_equal_one(toy_cfg, tmp_path, method):
    toy_cfg.MODEL.META_ARCHITECTURE = method
    toy_cfg.MODEL.FIXMATCH.THRESHOLD, toy_cfg.MODEL.FIXMATCH.EMA_DECAY = 0.5, 0.9
    # The deepest map is not the last block's: the last one would have no gradient.
    toy_cfg.MODEL.LOCAL.BACKBONE.DEPTH, toy_cfg.MODEL.LOCAL.BACKBONE.FEATURES = 3, [0, 0, 1]
    toy_cfg.SOLVER.MAX_ITER = 10
    toy_cfg.SOLVER.IMS_PER_BATCH = 4
    toy_cfg.TEST.EVAL_PERIOD = 5
    (one, one_scores), (two, two_scores) = (run(toy_cfg, tmp_path, n) for n in (1, 2))
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
