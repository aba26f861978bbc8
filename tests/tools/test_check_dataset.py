"""tools/check_dataset.py: what it prints, writes and returns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ..preparation.check_toy import rewrite, write_toy

TOOL = Path(__file__).parents[2] / "tools" / "check_dataset.py"
SPEC = """
name: check_toy
root: toy
classes:
  - {name: land, color: [0, 0, 0], concepts: [land]}
  - {name: water, color: [0, 0, 255], concepts: [water]}
labels: {encoding: index}
layout: {images: "{set}/images/{name}.png", labels: "{set}/labels/{name}.png"}
splits: {fractions: ["1_1"], train: {set: [train]}, val: {set: [val]}}
"""

pytestmark = pytest.mark.usefixtures("clean_catalog")


@pytest.fixture
def yaml(tmp_path):
    """The YAML file of a clean dataset beside it."""
    write_toy(tmp_path / "toy")
    path = tmp_path / "toy.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def check(yaml, load_script):
    """A function (*arguments) that runs the tool in this process; returns its exit code."""
    tool = load_script(TOOL)

    def run(*arguments, dataset=yaml):
        return tool.main(["--dataset", str(dataset), "--workers", "1", *map(str, arguments)])

    return run


def test_nothing_wrong(check, capsys, tmp_path):
    statistics, report = tmp_path / "out" / "bands.json", tmp_path / "out" / "report.json"
    assert check("--statistics", statistics, "--json", report) == 0
    printed = capsys.readouterr().out
    assert f"check_toy in {tmp_path / 'toy'}" in printed
    assert "Nothing is wrong: 0 errors" in printed
    content = json.loads(report.read_text())
    assert content["errors"] == 0 and content["findings"] == []
    assert content["lists"][0]["name"] == "check_toy_1_1_labeled"
    images = [cv2.imread(str(path)) for path in sorted(tmp_path.glob("toy/train/images/*"))]
    bands = json.loads(statistics.read_text())["bands"]
    red = np.stack(images)[..., 2].astype(float)
    assert bands["1"]["mean"] == pytest.approx(red.mean())
    assert bands["1"]["std"] == pytest.approx(red.std())


def test_something_wrong(check, capsys, tmp_path):
    rewrite([tmp_path / "toy/train/labels/00.png"], lambda mask: mask + 9)
    assert check("--json", tmp_path / "report.json") == 1
    printed = capsys.readouterr().out
    assert "Something is wrong: 1 error" in printed
    assert "train/labels/00.png" in printed
    (finding,) = json.loads((tmp_path / "report.json").read_text())["findings"]
    assert (finding["severity"], finding["kind"]) == ("error", "unknown values")
    assert finding["fix"] and finding["count"] == 1


def test_nothing_that_could_be_checked(check, stops, tmp_path):
    with stops("Unknown dataset 'chek_toy'"):
        check(dataset="chek_toy")
    with stops("The dataset file"):
        check(dataset=tmp_path / "away.yaml")
    with stops("folder of dataset 'check_toy' is missing"):
        check("--root", tmp_path / "away")
    (tmp_path / "wrong.yaml").write_text("name: [")
    with stops(r"wrong\.yaml is wrong"):
        check(dataset=tmp_path / "wrong.yaml")


def test_the_quick_form(check, capsys, tmp_path):
    assert check("--quick") == 0
    assert "a quick look at some samples" in capsys.readouterr().out
    rewrite(tmp_path.glob("toy/*/labels/*"), lambda mask: mask * 255)
    assert check("--quick") == 1
    assert "map: {0: 0, 255: 1}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        check("--quick", "--statistics", "x.json")


def test_the_command_line(yaml):
    shown = subprocess.run(
        [sys.executable, TOOL, "--dataset", yaml, "--workers", "2"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert shown.returncode == 0, shown.stderr
    assert "Nothing is wrong" in shown.stdout


def test_train_net_looks_before_it_trains(yaml, tmp_path):
    rewrite(tmp_path.glob("toy/*/labels/*"), lambda mask: mask * 255)
    data = "DATASETS.SPECS", f"('{yaml}',)", "DATASETS.LABELED", "('check_toy_1_1_labeled',)"
    options = [*data, "DATASETS.TEST", "('check_toy_val',)", "OUTPUT_DIR", str(tmp_path / "out")]
    command = [sys.executable, TOOL.with_name("train_net.py"), *options]
    stopped = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert stopped.returncode != 0
    assert "map: {0: 0, 255: 1}" in stopped.stderr
    assert f"The full check: python tools/check_dataset.py --dataset {yaml}" in stopped.stderr
