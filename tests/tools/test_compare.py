"""tools/compare.py: which runs it makes, goes on with, takes as they are or refuses."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from co2s.engine import load_cfg
from co2s.engine.report import options
from co2s.preparation.synthetic import write_synthetic_aerial

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs" / "quickstart.yaml")
VAL = "synthetic_aerial_val"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_synthetic_aerial(
        tmp_path_factory.mktemp("data") / "synthetic_aerial",
        train_scenes=8,
        val_scenes=1,
        tile=48,
        demo_size=(48, 48),
    )


@pytest.fixture
def compare(data, tmp_path, monkeypatch, capsys):
    """A function (*options) that compares runs which only write a report; what it printed."""
    path = ROOT / "tools" / "compare.py"
    spec = importlib.util.spec_from_file_location("compare", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    commands = []

    def train(command):
        commands.append(command)
        start = command.index("--config-file") + 2 + ("--resume" in command)
        cfg = load_cfg(CONFIG, command[start:], training=True)
        students = {"local": {"mIoU": 40.0 + cfg.SEED}}
        if cfg.MODEL.META_ARCHITECTURE == "Co2S":
            students |= {"global": {"mIoU": 50.0}, "fused": {"mIoU": 60.0}}
        scores = {VAL: {**students, "sem_seg": {"mIoU": 1.0}}}
        folder = Path(cfg.OUTPUT_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        report = {"scores": scores, "options": options(cfg)}
        (folder / "report.json").write_text(json.dumps(report))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(module.subprocess, "run", train)

    def run(*more, methods=("OnlySup", "Co2S"), seeds=("0", "1")):
        commands.clear()
        arguments = ["compare.py", "--config-file", CONFIG, "--methods", *methods, "--seeds"]
        arguments += [*seeds, "--output", str(tmp_path / "runs"), "DATASETS.ROOT", str(data), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        module.main()
        return capsys.readouterr().out

    run.commands, run.folder = commands, tmp_path / "runs"
    return run


def test_the_table_holds_the_predictions_that_exist(compare):
    table = compare("SOLVER.MAX_ITER", "4")
    assert len(compare.commands) == 4
    assert f"mIoU, %, {VAL}" in table
    rows = {line.split("|")[1].strip(): line for line in table.splitlines()}
    assert rows["OnlySup"].count(" - ") == 2, "nothing is called fused where one student predicts"
    assert "40.5 ± 0.7" in rows["OnlySup"] and "60.0 ± 0.0" in rows["Co2S"]
    assert "sem_seg" not in table


def test_what_is_through_is_not_trained_again_and_what_was_cut_goes_on(compare):
    compare(methods=["Co2S"], seeds=["0"])
    compare(methods=["Co2S"], seeds=["0"])
    assert compare.commands == []
    folder = compare.folder / "Co2S_seed0"
    (folder / "report.json").unlink()
    # Scores of an evaluation on the way are no report.
    (folder / "inference" / VAL).mkdir(parents=True)
    (folder / "inference" / VAL / "scores.json").write_text("{}")
    torch.save({}, folder / "model_0000001.pth")
    (folder / "last_checkpoint").write_text("model_0000001.pth")
    compare(methods=["Co2S"], seeds=["0"])
    assert ["--resume" in command for command in compare.commands] == [True]


def test_a_run_of_other_options_is_refused_by_name(compare):
    compare(methods=["Co2S"], seeds=["0"])
    with pytest.raises(SystemExit, match=r"MODEL.CO2S.THRESHOLD: 0.95 there, 0.5 here"):
        compare("MODEL.CO2S.THRESHOLD", "0.5", methods=["Co2S"], seeds=["0"])
    compare("DATALOADER.NUM_WORKERS", "1", methods=["Co2S"], seeds=["0"])
    assert compare.commands == []
