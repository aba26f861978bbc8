"""The command line as a user has it: train, resume, score only, and what it says when data lack."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from co2s.preparation.synthetic import write_synthetic_aerial

ROOT = Path(__file__).parents[2]


@pytest.fixture
def train_net(tmp_path):
    """A function (*arguments) that runs tools/train_net.py on a few tiny tiles."""
    data = write_synthetic_aerial(
        tmp_path / "synthetic_aerial", train_scenes=8, val_scenes=1, tile=48, demo_size=(48, 48)
    )
    options = ["DATASETS.ROOT", data, "OUTPUT_DIR", tmp_path / "out", "INPUT.CROP_SIZE", 32]
    options += ["TEST.PANELS", 0, "TEST.EVAL_PERIOD", 0, "INPUT.TEST_SCALE", 1.0]
    options += ["SOLVER.IMS_PER_BATCH", 2, "SOLVER.CHECKPOINT_PERIOD", 2]
    options += ["DATALOADER.CUTMIX_PARTNER", "other"]  # one image in each of two processes
    for part in ("labeled", "unlabeled"):
        options += [f"DATASETS.{part.upper()}", f'("synthetic_aerial_1_16_{part}",)']

    def run(*arguments, options=options):
        command = [
            ROOT / "tools" / "train_net.py",
            "--config-file",
            ROOT / "configs/quickstart.yaml",
        ]
        command = [sys.executable, *command, *arguments, *options]
        return subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    run.options = options
    return run


def test_train_resume_and_score(train_net, tmp_path):
    first = train_net(options=[*train_net.options, "SOLVER.MAX_ITER", 2])
    assert first.returncode == 0, first.stderr[-3000:]
    assert "Names of detectron2 come from: detectron2" in first.stdout
    assert "parameters trained" in first.stdout
    scores = tmp_path / "out" / "inference" / "synthetic_aerial_val" / "scores.json"
    trained = json.loads(scores.read_text())["scores"]
    scores.unlink()

    weights = ["MODEL.WEIGHTS", tmp_path / "out" / "model_final.pth"]
    again = train_net("--eval-only", options=[*train_net.options, *weights])
    assert again.returncode == 0, again.stderr[-3000:]
    assert json.loads(scores.read_text())["scores"] == trained

    # A resumed run asks for no pretrained file.
    gone = ["MODEL.GLOBAL.BACKBONE.WEIGHTS", "gone.pt", "MODEL.LOCAL.BACKBONE.WEIGHTS", "gone.pth"]
    longer = train_net("--resume", options=[*train_net.options, *gone, "SOLVER.MAX_ITER", 3])
    assert longer.returncode == 0, longer.stderr[-3000:]
    assert "Starting training from iteration 2" in longer.stdout


def test_missing_data_and_unknown_names_are_said(train_net, tmp_path):
    missing = train_net(options=[*train_net.options, "DATASETS.ROOT", tmp_path / "none"])
    assert missing.returncode == 2 and "Traceback" not in missing.stdout + missing.stderr
    assert "none" in missing.stderr
    assert "DATASETS.ROOT" in missing.stderr
    names = ["DATASETS.LABELED", '("nonsense_1_8_labeled",)', "MODEL.NUM_CLASSES", 6]
    unknown = train_net(options=[*train_net.options, *names])
    assert unknown.returncode == 2 and "Traceback" not in unknown.stdout + unknown.stderr
    assert "nonsense_1_8_labeled" in unknown.stderr
    assert "synthetic_aerial_1_16_labeled" in unknown.stderr, "known names are listed"


def test_scoring_needs_weights_and_leaves_the_run_as_it_is(train_net, tmp_path):
    nothing = train_net("--eval-only")
    assert nothing.returncode == 2
    assert "nothing to score: MODEL.WEIGHTS is empty" in nothing.stderr.splitlines()[-1]
    trained = train_net(options=[*train_net.options, "SOLVER.MAX_ITER", 1])
    assert trained.returncode == 0, trained.stderr[-3000:]
    config = tmp_path / "out" / "config.yaml"
    before = config.read_text()
    scored = train_net("--eval-only", "--resume")
    assert scored.returncode == 0, scored.stderr[-3000:]
    assert config.read_text() == before, "config.yaml says what trained"
    assert (tmp_path / "out" / "inference" / "config.yaml").is_file()


def test_the_baseline_on_two_processes(train_net, tmp_path):
    arguments = ["--with-baseline", "--num-gpus", "2", "--dist-url", "auto"]
    options = [*train_net.options, "SOLVER.MAX_ITER", 2]
    done = train_net(*arguments, options=options)
    assert done.returncode == 0, done.stderr[-3000:]
    twin = json.loads((tmp_path / "out" / "twin.json").read_text())
    assert twin["sentence"] in done.stdout and "95 % interval" in twin["sentence"]
    assert (tmp_path / "out" / "labeled_only" / "report.json").is_file()
    neither = train_net("--with-baseline", "--eval-only", options=options)
    assert neither.returncode == 2 and "leave one of them out" in neither.stderr
