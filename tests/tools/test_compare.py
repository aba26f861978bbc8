"""tools/compare.py: which runs it makes, goes on with, takes as they are or refuses."""

import importlib.util
import json
import re
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
        students = {"local": {"mIoU": 40.0 + cfg.SEED + cfg.SOLVER.MAX_ITER / 100}}
        if cfg.MODEL.META_ARCHITECTURE == "Co2S":
            students |= {"global": {"mIoU": 50.0}, "fused": {"mIoU": 60.0}}
        scores = {VAL: {**students, "sem_seg": {"mIoU": 1.0}}}
        folder = Path(cfg.OUTPUT_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        report = {"scores": scores, "options": options(cfg)}
        (folder / "report.json").write_text(json.dumps(report))
        sessions = [{"seconds": 20.0}, {"seconds": 3.0 + 2 * cfg.SEED}]
        (folder / "facts.json").write_text(json.dumps({"sessions": sessions}))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(module.subprocess, "run", train)

    def run(*more, methods=("OnlySup", "Co2S"), seeds=("0", "1"), floors=False):
        commands.clear()
        arguments = ["compare.py", "--config-file", CONFIG, "--output", str(tmp_path / "runs")]
        arguments += [] if floors else ["--no-floors"]
        arguments += ["--methods", *methods, "--seeds", *seeds]
        arguments += ["DATASETS.ROOT", str(data), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        module.main()
        return capsys.readouterr().out

    run.commands, run.folder, run.module = commands, tmp_path / "runs", module
    return run


def rows_of(table):
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    header, _, *rows = cells
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}


def test_the_table_holds_the_predictions_that_exist(compare):
    table = compare("SOLVER.MAX_ITER", "4")
    assert len(compare.commands) == 4
    assert f"mIoU, %, {VAL}" in table
    rows = rows_of(table)
    # Nothing is called fused where one student predicts.
    assert [rows["OnlySup"][name] for name in ("local", "global", "fused")] == [
        "40.5 ± 0.7",
        "-",
        "-",
    ]
    assert rows["Co2S"]["fused"] == "60.0 ± 0.0"
    assert rows["Co2S"]["seconds"] == "24", "the mean over runs of all their sessions"
    assert "sem_seg" not in table and "were left out (--no-floors)" in table
    assert (compare.folder / "comparison.md").read_text() == table


def test_where_no_time_is_known_none_is_told(compare):
    compare(methods=["Co2S"])
    for path in compare.folder.glob("*/facts.json"):
        path.unlink()
    assert "seconds" not in compare(methods=["Co2S"])


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
    with pytest.raises(SystemExit, match=r"MODEL.CO2S.THRESHOLD: 0.8 there, 0.5 here"):
        compare("MODEL.CO2S.THRESHOLD", "0.5", methods=["Co2S"], seeds=["0"])
    compare("DATALOADER.NUM_WORKERS", "1", methods=["Co2S"], seeds=["0"])
    assert compare.commands == []


def test_an_entry_has_options_of_its_own(compare):
    methods = ["Co2S", 'long run/2:OnlySup,SOLVER.MAX_ITER=900,MODEL.STUDENTS=("local",)']
    rows = rows_of(compare("SOLVER.MAX_ITER", "100", methods=methods))
    assert rows["Co2S"]["local"] == "41.5 ± 0.7" and rows["long run/2"]["local"] == "49.5 ± 0.7"
    assert (compare.folder / "long_run_2_seed1" / "report.json").is_file()
    cfg = load_cfg(CONFIG, compare.commands[-1][4:], training=True)
    assert (cfg.SOLVER.MAX_ITER, cfg.MODEL.STUDENTS, cfg.SEED) == (900, ("local",), 1)


@pytest.mark.parametrize(
    "text",
    [
        "Co2S,SOLVER.MAX_ITER=3",
        "x:Co2S,SOLVER.MAX_ITER",
        "x:",
        ":Co2S",
        "x:Co2S SEED=1",
        "x:y:Co2S",
        "?:Co2S",
        "x:SOLVER.MAX_ITER=3",
        "",
    ],
)
def test_a_malformed_entry_is_refused(compare, stops, text):
    with stops(rf"--methods '{re.escape(text)}': write METHOD, or TITLE:METHOD,KEY=VALUE"):
        compare(methods=["OnlySup", text])
    assert compare.commands == []


@pytest.mark.parametrize(
    ("methods", "opts", "words"),
    [
        (["Co2S", "co2s:OnlySup"], [], "'Co2S' and 'co2s' would share a folder"),
        (["a b:Co2S", "a_b:Co2S"], [], "'a b' and 'a_b' would share a folder"),
        (["x:Co2S,SEED=3"], [], "SEED is what --seeds sets here"),
        (["Co2S"], ["OUTPUT_DIR", "there"], "OUTPUT_DIR is what --output sets here"),
        (["x:Co2S,SOLVER.MAX_ITR=3"], [], "SOLVER.MAX_ITR"),
        (["Co3S"], [], "'Co3S'; known are"),
    ],
)
def test_entries_that_cannot_be(compare, stops, methods, opts, words):
    with stops(words):
        compare(*opts, methods=methods)
    assert compare.commands == []


def test_a_value_may_hold_commas(compare):
    text = "x:Co2S,INPUT.RATIO_RANGE=(0.5, 2.0),MODEL.LOCAL.BACKBONE.WEIGHTS=C:/a,b.pth"
    expected = ["INPUT.RATIO_RANGE", "(0.5, 2.0)", "MODEL.LOCAL.BACKBONE.WEIGHTS", "C:/a,b.pth"]
    assert compare.module.parse_entry(text).opts == expected


def test_floors_stand_first_and_are_fitted_once(compare, monkeypatch):
    opts = ["INPUT.CROP_SIZE", "48", "INPUT.TEST_SCALE", "1.0"]
    for name in ("GLOBAL", "LOCAL"):
        opts += [f"MODEL.{name}.BACKBONE.WIDTH", "32", f"MODEL.{name}.BACKBONE.HEADS", "2"]
        opts += [f"MODEL.{name}.BACKBONE.WEIGHTS", ""]
    for part in ("LABELED", "UNLABELED"):  # of a handful of tiles
        opts += [f"DATASETS.{part}", f'("synthetic_aerial_1_4_{part.lower()}",)']
    entries = ["OnlySup", "other:OnlySup,SOLVER.MAX_ITER=7"]
    said = compare(*opts, methods=entries, floors=True)
    rows = rows_of(said)
    titles = [f"Floor: {n}" for n in ("colour statistics", "global backbone, random")]
    assert [*rows] == [*titles, "Floor: local backbone, random", *entries[:1], "other"]
    for title in titles:
        assert 0 < float(rows[title]["local"].split(" ± ")[0]) <= 100
        assert rows[title]["seconds"].isdigit()
    # A random backbone for each seed; there is one way of counting colours.
    assert ["±" in rows[title]["local"] for title in titles] == [False, True]
    assert "Floors: a linear layer" in said and "left out" not in said
    folders = sorted(path.parent.name for path in compare.folder.glob("floors/*/report.json"))
    assert folders == ["color"] + [
        f"{name}_random_seed{seed}" for name in ("global", "local") for seed in (0, 1)
    ]
    monkeypatch.setattr(compare.module, "score_floor", None)
    again = rows_of(compare(*opts, methods=["Co2S"], floors=True))
    assert compare.commands and again[titles[0]]["fused"] == rows[titles[0]]["local"]
    assert again[titles[0]]["local"] == "-"
    with pytest.raises(SystemExit, match=r"color holds .*\n  INPUT.TEST_SCALE: 1.0 there"):
        compare(*opts, "INPUT.TEST_SCALE", "0.5", methods=["Co2S"], floors=True)
