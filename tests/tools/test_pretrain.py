"""The command line as a user has it: pretrain on images alone, export again what was trained."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from co2s.modeling.weights import read_metadata

TOOL = Path(__file__).parents[2] / "tools" / "pretrain.py"
CONFIG = Path(__file__).parents[2] / "configs" / "pretrain_dubai72.yaml"
POOL = """
name: pool
root: images
layout: {images: "**/*.jpg"}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, clean_catalog):
    """Six photographs, the YAML of their pool, and a configuration that trains on it."""
    rng = np.random.default_rng(0)
    (tmp_path / "images" / "a").mkdir(parents=True)
    for i in range(6):
        picture = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "images" / "a" / f"{i}.jpg"), picture)
    (tmp_path / "pool.yaml").write_text(POOL)
    small = {
        "_BASE_": str(CONFIG),
        "DATASETS": {"SPECS": ["pool.yaml"], "UNLABELED": ["pool_unlabeled"]},
        "INPUT": {"CROP_SIZE": 32},
        "SOLVER": {"MAX_ITER": 2, "IMS_PER_BATCH": 2, "WARMUP_ITERS": 0, "CHECKPOINT_PERIOD": 2},
        "DATALOADER": {"NUM_WORKERS": 0},
        "MODEL": {"STUDENTS": ["local"]},
        "TEST": {"SNAPSHOTS": 0},
        "OUTPUT_DIR": "out",
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pretrain(monkeypatch, load_script):
    """A function (*arguments) that runs the tool in this process."""
    module = load_script(TOOL)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["pretrain.py", "--config-file", *arguments])
        module.run()

    return run


def test_from_a_folder_of_images_to_a_file(pretrain, folder, capsys):
    command = [sys.executable, str(TOOL), "--config-file", "small.yaml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "MODEL.LOCAL.BACKBONE.WEIGHTS out/backbone_local.safetensors" in done.stdout
    file = folder / "out" / "backbone_local.safetensors"
    about, size = read_metadata(file), file.stat().st_size
    assert (about["method"], about["steps"]) == ("MaskedImageModeling", "2")
    assert file.stat().st_mode == (folder / "out" / "config.yaml").stat().st_mode

    # Of a run that is through, without its images.
    (folder / "images").rename(folder / "gone")
    pretrain("out/config.yaml", "--export-only", "--half")
    assert capsys.readouterr().out.splitlines()[-1] == "out/backbone_local.safetensors"
    assert read_metadata(file) == about and file.stat().st_size < 0.6 * size


def test_what_a_user_can_mend_is_one_message(pretrain, stops):
    with stops("this tool scores nothing. Of pretraining only S4"):
        pretrain("small.yaml", "--eval-only")
    with stops("There is nothing to export: out holds no checkpoint"):
        pretrain("small.yaml", "--export-only")
    with stops(r"it reads nothing of DATASETS\.TEST"):
        pretrain("small.yaml", "DATASETS.TEST", "('pool_unlabeled',)")
    with stops("UniMatch trains a segmentation"):
        options = ["MODEL.META_ARCHITECTURE", "UniMatch", "MODEL.NUM_CLASSES", "2"]
        pretrain("small.yaml", "--export-only", *options)
