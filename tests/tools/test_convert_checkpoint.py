"""The converter as a user has it: both files or none, and what is written is used as it is."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.d2 import DefaultPredictor
from co2s.engine import load_cfg
from co2s.preparation.synthetic import write_synthetic_aerial

from ..model_zoo import authors_format

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "convert_checkpoint.py"


def run(*command, cwd):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    parts = [sys.executable, *(str(part) for part in command)]
    return subprocess.run(parts, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def pair(tiny_cfg, tmp_path):
    """Arguments for a small pair and its configuration, all in tmp_path."""
    authors_format.write_pair(tmp_path, **authors_format.TINY)
    for student in (tiny_cfg.MODEL.GLOBAL, tiny_cfg.MODEL.LOCAL):
        student.HEAD.DILATIONS = (6, 12, 18)
    tiny_cfg.MODEL.NUM_CLASSES = 0
    tiny_cfg.DATASETS.TEST = ("synthetic_aerial_val",)
    (tmp_path / "tiny.yaml").write_text(tiny_cfg.dump())
    arguments = {"--config-file": "tiny.yaml", "--global": "best_clip.pth"}
    arguments |= {"--local": "best_dinov3.pth", "--output": "converted.pth"}
    return arguments


def flat(arguments):
    return [str(x) for item in arguments.items() for x in item]


def test_convert_score_and_predict(pair, tmp_path):
    done = run(TOOL, *flat(pair), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "6 classes. INPUT.CROP_SIZE 32 is the configuration's" in done.stdout
    assert "--eval-only --config-file converted.yaml" in done.stdout
    assert "DefaultPredictor(cfg)" in done.stdout
    text = (tmp_path / "converted.yaml").read_text()
    assert text.count("SHA-256") == 2 and "best_dinov3.pth" in text

    # From another folder than the one it was written from.
    data = tmp_path / "synthetic_aerial"
    write_synthetic_aerial(data, train_scenes=1, val_scenes=1, tile=48, demo_size=(48, 48))
    command = [ROOT / "tools" / "train_net.py", "--eval-only"]
    command += ["--config-file", "../converted.yaml"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    scored = run(*command, "DATASETS.ROOT", data, "OUTPUT_DIR", "out", cwd=elsewhere)
    assert scored.returncode == 0, scored.stderr[-3000:]
    scores = elsewhere / "out" / "inference" / "synthetic_aerial_val" / "scores.json"
    assert set(json.loads(scores.read_text())["scores"]) == {"global", "local", "fused"}
    assert "converted.pth" in scored.stdout and "not found" not in scored.stdout

    cfg = load_cfg(str(tmp_path / "converted.yaml"))
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    predictor = DefaultPredictor(cfg)
    probabilities = predictor(image)["sem_seg"]
    assert probabilities.shape == (6, 40, 56)
    stored = torch.load(tmp_path / "converted.pth", weights_only=True)
    assert stored.keys() == {"model"}
    own = predictor.model.state_dict()
    more = {f"temperatures.{name}" for name in ("global", "local", "fused")}  # all of them 1
    assert own.keys() - stored["model"].keys() == more and stored["model"].keys() <= own.keys()
    assert all(torch.equal(own[key], value) for key, value in stored["model"].items())


@pytest.fixture
def tool(pair, tmp_path, monkeypatch, load_script):
    """A function (**changes of the arguments) that runs the tool here; its names, the folder's."""
    monkeypatch.chdir(tmp_path)
    module = load_script(TOOL)
    before = {path.name for path in tmp_path.iterdir()}

    def convert(*opts, **changes):
        arguments = pair | {f"--{key}": value for key, value in changes.items()}
        try:
            module.main([*flat(arguments), *opts])
        finally:
            convert.written = {path.name for path in tmp_path.iterdir()} - before

    convert.module = module
    return convert


def test_configuration_may_be_changed_on_the_command_line(tool):
    tool("INPUT.CROP_SIZE", "64")
    assert tool.written == {"converted.pth", "converted.yaml"}
    cfg = load_cfg("converted.yaml")
    assert cfg.INPUT.CROP_SIZE == 64 and cfg.OUTPUT_DIR.endswith("_converted")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"global": "best_dinov3.pth", "local": "best_clip.pth"}, "Swap the two"),
        ({"local": "nowhere.pth"}, r"nowhere\.pth.*no such file"),
        ({"output": "tiny.pth"}, r"'tiny\.yaml' exists"),
        ({"output": "best_clip.pth"}, r"'best_clip\.pth' exists"),
        ({"output": "no_folder/converted.pth"}, "folder does not exist"),
        ({"output": "converted.pkl"}, r"suffix \.pth"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(tool, changes, words):
    with pytest.raises(SystemExit, match=rf"(?s){words}"):
        tool(**changes)
    assert tool.written == set()


def test_wrong_class_count(tool):
    with pytest.raises(SystemExit, match=r"6 classes .* 15 \(gid15_val\)"):
        tool("DATASETS.TEST", "('gid15_val',)", "INPUT.CROP_SIZE", "512")
    assert tool.written == set()


def test_a_file_that_would_run_code_is_refused_by_name(tool, tmp_path):
    torch.save({"model": {}, "epoch": partial(print, "run")}, tmp_path / "bad.pth")
    with pytest.raises(SystemExit, match=r"bad\.pth' are refused"):
        tool(**{"global": "bad.pth"})
    assert tool.written == {"bad.pth"}


def test_both_files_or_none(tool, monkeypatch):
    replace = os.replace

    def fail_at_the_second(source, target):
        if str(target).endswith(".yaml"):
            raise OSError("no space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_second)
    with pytest.raises(SystemExit, match="no space left"):
        tool()
    assert tool.written == set()
