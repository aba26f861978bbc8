"""The page of a run: its numbers are the run's, nothing can break it, a browser can read it."""

import json
import re
import shutil

import pytest

from co2s.report import page
from co2s.report import write_report_page as write

SECTIONS = {
    "run",
    "scores",
    "curves",
    "drift",
    "confusion",
    "reliability",
    "panels",
    "batches",
    "costs",
    "options",
}


@pytest.fixture
def folder(run):
    return run()


def table_of(found, first):
    """The first table whose first cell holds a text."""
    return next(rows for rows in found.tables if rows[0][0] == first)


def test_a_whole_run_leaves_nothing_out(folder, parsed):
    path = write(folder)
    assert path == str(folder / "report.html")
    found = parsed(folder / "report.html")
    assert set(found.sections) == SECTIONS
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Left out" not in text
    assert "could not be drawn" not in text


def test_the_html_is_sound(folder, parsed):
    write(folder)
    found = parsed(folder / "report.html")
    assert found.faults == []
    assert [name for name, times in found.ids.items() if times > 1] == []
    assert found.tags["b"] > 0
    assert found.tags["script"] == 0
    outside = [x for x in found.links if not x.startswith(("#", "data:image/"))]
    assert outside == []
    inside = {x[1:] for x in found.links if x.startswith("#")}
    assert inside <= found.ids.keys()  # of sections, and of what charts are drawn with


@pytest.mark.usefixtures("no_charts")
def test_every_number_of_the_tables_is_the_file_s(folder, parsed):
    write(folder)
    found = parsed(folder / "report.html")
    content = json.loads((folder / "inference" / "toy_val" / "scores.json").read_text())
    shown = lambda value: "–" if value is None else f"{value:.2f}"  # noqa: E731
    names, results = content["class_names"], content["scores"]

    head, *rows = table_of(found, "class")
    assert head == ["class", *results]
    expected = [[n, *(shown(r["classes"][n]["IoU"]) for r in results.values())] for n in names]
    summary = ("mIoU", "OA", "F1", "kappa", "BF1")
    expected += [[key, *(shown(r[key]) for r in results.values())] for key in summary]
    assert rows == expected

    keys = ["IoU", "F1", "BF1", "precision", "recall"]
    tables = [rows for rows in found.tables if rows[0][1:6] == keys]
    assert len(tables) == len(results)
    for (_, *rows), result in zip(tables, results.values(), strict=True):
        assert [row[:6] for row in rows] == [
            [name, *(shown(result["classes"][name][key]) for key in keys)] for name in names
        ]
    matrix = content["confusion"]["fused"]
    _, *rows = table_of(found, "truth ↓ prediction →")
    assert [row[1] for row in rows[:2]] == [
        f"{100 * matrix[i][0] / sum(matrix[i]):.0f}" for i in range(2)
    ]
    assert rows[2][1:] == ["–"] * 3  # no pixel of truth


def test_hostile_names_are_text(folder, parsed):
    write(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    for raw in ('<b class="x">', "<i>.png", "<1>.png", "<points>", "<GPU>"):
        assert raw not in text
    found = parsed(folder / "report.html")
    assert '<b class="x">road</b>' in found.sections["scores"]
    assert "a/b & 'c'" in found.sections["drift"]
    assert "水 $x_1$" in found.sections["drift"]


@pytest.mark.parametrize(
    ("part", "sections", "words"),
    [
        ("metrics.json", {"curves", "drift", "costs"}, "No metrics.json"),
        ("inference", {"scores", "confusion", "panels"}, "Nothing was scored"),
        ("inference/toy_val/panels", {"panels"}, "There are no panels"),
        ("calibration.json", {"reliability"}, "There is no calibration.json"),
        ("snapshots", {"batches"}, "There are no snapshots"),
        ("config.yaml", {"options"}, "There is no config.yaml"),
        ("facts.json", set(), "there is no facts.json"),
        ("report.json", set(), "This run is not through"),
        ("twin.json", set(), ""),
    ],
)
@pytest.mark.usefixtures("no_charts")
def test_what_is_missing_is_named_and_breaks_nothing(folder, parsed, part, sections, words):
    path = folder / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    write(folder)
    found = parsed(folder / "report.html")
    assert found.faults == []
    assert {name for name, text in found.sections.items() if "Left out." in text} >= sections
    others = {name for name, text in found.sections.items() if "Left out." in text} - sections
    assert others <= ({"curves", "drift"} if part == "config.yaml" else set())
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert words in text
    assert "could not be drawn" not in text


@pytest.mark.parametrize(
    ("part", "section"),
    [
        ("calibration.json", "reliability"),
        ("inference/toy_val/scores.json", "scores"),
        ("config.yaml", "options"),
    ],
)
@pytest.mark.parametrize("content", [b"{", b"[1, 2]", b"\xff\xfe\x00", b""])
@pytest.mark.usefixtures("no_charts")
def test_what_is_damaged_is_named(folder, parsed, part, section, content):
    (folder / part).write_bytes(content)
    write(folder)
    found = parsed(folder / "report.html")
    assert found.faults == []
    assert set(found.sections) == SECTIONS
    assert re.search("Left out|could not be drawn", found.sections[section])


@pytest.mark.parametrize("part", ["facts.json", "report.json", "twin.json", "metrics.json"])
@pytest.mark.usefixtures("no_charts")
def test_other_damage_costs_no_section(folder, parsed, part):
    (folder / part).write_bytes(b'{"sessions": 3')
    write(folder)
    found = parsed(folder / "report.html")
    assert found.faults == []
    assert set(found.sections) == SECTIONS


@pytest.mark.usefixtures("no_charts")
def test_torn_pictures_are_named(folder, parsed):
    for path in (*folder.glob("snapshots/*1.npz"), *folder.glob("inference/*/panels/best.png")):
        path.write_bytes(path.read_bytes()[:100])
    write(folder)
    found = parsed(folder / "report.html")
    assert "step_0000001.npz cannot be read" in found.sections["batches"]
    assert "Step 90" in found.sections["batches"]
    assert "1 more panels lie in" in found.sections["panels"]


@pytest.mark.usefixtures("no_charts")
def test_a_fault_of_one_part_is_logged_and_named(folder, parsed, monkeypatch, log):
    monkeypatch.setattr(page.course, "curves", lambda run: {}["nothing"])
    write(folder)
    found = parsed(folder / "report.html")
    assert "could not be drawn (KeyError: 'nothing')" in found.sections["curves"]
    assert "mIoU" in found.sections["scores"]
    assert "'Training' could not be drawn" in log.text


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_charts")
def test_the_head_says_what_was_reached(folder):
    write(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    fused = json.loads((folder / "inference" / "toy_val" / "scores.json").read_text())
    value = fused["scores"]["fused"]["mIoU"]
    assert f"fused reaches {value:.2f} % mIoU on toy_val" in text
    assert "The model after step 40 was scored" in text
    assert "gave +2.3 &lt;points&gt;." in text
    assert "90 min" in text  # both sessions together
    assert "resumed 1 ×" in text
    assert "2 × A &lt;GPU&gt;" in text


@pytest.mark.usefixtures("no_charts")
def test_options_that_differ_are_listed(run, parsed):
    folder = run(**{"SOLVER.BASE_LR": 0.5, "MODEL.FUSION": "mean"})
    write(folder)
    rows = {row[0]: row[1:] for row in table_of(parsed(folder / "report.html"), "option")}
    assert rows["SOLVER.BASE_LR"] == ["0.5", "0.0001"]
    assert rows["MODEL.FUSION"] == ["mean", "confidence"]
    assert "SOLVER.MAX_ITER" not in rows


@pytest.mark.parametrize("width", [1280, 420])
def test_a_browser_reads_it_without_a_network(folder, in_browser, width):
    write(folder)
    found = in_browser(folder / "report.html", width)
    # three panels, three batches of 2 labelled and 2 unlabelled items of one student
    assert found["images"] == 3 + 3 * (2 * 2 + 2 * 4)
    assert found["bad"] == found["asked"] == found["faults"] == found["console"] == []
    assert found["empty"] == 0  # charts
    assert found["width"] <= max(width, 500)  # Chromium's windows are no narrower
