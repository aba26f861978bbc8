"""Several runs on one page: means over seeds, the best marked, what differs."""

import json
import sys
from pathlib import Path
from statistics import mean, stdev

import pytest

from co2s.report import write_comparison_page
from co2s.report.folder import open_run
from co2s.report.groups import grouped

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(load_script):
    return load_script(ROOT / "tools" / "report.py")


def values(folders, prediction="fused"):
    files = [folder / "inference" / "toy_val" / "scores.json" for folder in folders]
    return [json.loads(file.read_text())["scores"][prediction]["mIoU"] for file in files]


@pytest.fixture
def four(run):
    """Three seeds of one, and one of another."""
    ours = [run(f"Co2S_seed{i}", seed=i, gain=i) for i in range(3)]
    return [*ours, run("other", seed=0, gain=30, **{"SOLVER.BASE_LR": 0.5, "MODEL.FUSION": "mean"})]


def test_seeds_stand_together(four):
    groups = grouped([open_run(folder) for folder in four])
    assert [(group.name, len(group.runs)) for group in groups] == [("Co2S", 3), ("other", 1)]


def test_equal_names_are_told_apart(run):
    folders = [run("a_seed0"), run("a_seed1", seed=1), run("b", **{"SOLVER.BASE_LR": 0.5})]
    twins = [
        *folders,
        run("a_seed2", **{"SOLVER.MAX_ITER": 7}),
        run("a_seed3", 1, **{"SOLVER.MAX_ITER": 7}),
    ]
    assert [group.name for group in grouped(map(open_run, twins))] == ["a", "b", "a #2"]


@pytest.mark.usefixtures("no_charts")
def test_means_and_deviations(four, parsed, tmp_path):
    path = tmp_path / "side.html"
    assert write_comparison_page(four, path) == str(path)
    found = parsed(path)
    assert found.faults == []
    assert set(found.sections) == {"scores", "classes", "curves", "drift", "options"}
    rows = {row[0]: row[1:] for table in found.tables for row in table if len(row) == 3}
    ours, other = values(four[:3]), values(four[3:])
    assert rows["fused"] == [f"{mean(ours):.2f} ± {stdev(ours):.2f}", f"{other[0]:.2f}"]
    text = path.read_text(encoding="utf-8")
    assert f"<b>{other[0]:.2f}</b>" in text  # the best
    assert rows["SOLVER.BASE_LR"] == ["0.0001", "0.5"]
    assert "OUTPUT_DIR" not in rows
    assert "SEED" not in rows
    assert "Coverage of global at the end: Co2S 83\u00a0% and other 83\u00a0%." in text
    assert '<b class="x">' not in text


@pytest.mark.usefixtures("no_charts")
def test_a_run_without_scores_is_there_too(run, parsed, tmp_path):
    whole, bare = run("whole"), run("bare", **{"SOLVER.BASE_LR": 0.5})
    for path in bare.glob("inference/*/scores.json"):
        path.unlink()
    (bare / "metrics.json").unlink()
    write_comparison_page([whole, bare], tmp_path / "side.html")
    found = parsed(tmp_path / "side.html")
    rows = {row[0]: row[1:] for table in found.tables for row in table if len(row) == 3}
    assert rows["fused"] == [f"{values([whole])[0]:.2f}", "–"]
    assert "could not be drawn" not in (tmp_path / "side.html").read_text(encoding="utf-8")


def test_a_browser_reads_it(four, in_browser, tmp_path):
    write_comparison_page(four, tmp_path / "side.html")
    found = in_browser(tmp_path / "side.html", 420)
    assert found["faults"] == found["console"] == found["asked"] == []
    assert found["empty"] == 0
    assert found["width"] <= 500


@pytest.mark.usefixtures("no_charts")
def test_the_tool(run, tool, stops, tmp_path, monkeypatch, capsys):
    one, two = run("one"), run("two", 1)
    monkeypatch.setattr(sys, "argv", ["report.py", str(one)])
    tool.main()
    assert capsys.readouterr().out.strip() == str(one / "report.html")
    monkeypatch.setattr(
        sys, "argv", ["report.py", str(one), str(two), "--output", str(tmp_path / "x.html")]
    )
    tool.main()
    assert "2 runs side by side" in (tmp_path / "x.html").read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["report.py", str(one), "--output", "x.html"])
    with stops("--output is for the comparison"):
        tool.main()
    monkeypatch.setattr(sys, "argv", ["report.py", str(tmp_path / "nothing")])
    with stops("holds no run"):
        tool.main()
