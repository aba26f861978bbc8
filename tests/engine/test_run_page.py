"""report.html of a real run: all of it is there, its numbers are scores.json's."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from co2s.engine import report, trainer


@pytest.fixture
def run(toy_cfg, train, complete):
    """A function () that trains with config.yaml in the folder, as `setup` writes it; the page."""

    def make():
        out = Path(toy_cfg.OUTPUT_DIR)
        out.mkdir()
        (out / "config.yaml").write_text(complete(toy_cfg, training=True).dump())
        train(toy_cfg)
        return out / "report.html"

    return make


def test_the_page_of_a_run(toy_cfg, run, in_browser):
    toy_cfg.TEST.EVAL_PERIOD = 3
    toy_cfg.TEST.PANELS = 1
    toy_cfg.TEST.SNAPSHOTS = 2
    page = run()
    text = page.read_text(encoding="utf-8")
    assert "Left out" not in text
    assert "could not be drawn" not in text
    scores = json.loads((page.parent / "inference" / "engine_toy_val" / "scores.json").read_text())
    results = scores["scores"]
    assert list(results) == ["global", "local", "fused"]
    cells = [unescape(re.sub("<.*?>", "", row)) for row in re.findall("<tr>(.*?)</tr>", text)]
    for name in scores["class_names"]:
        values = (r["classes"][name]["IoU"] for r in results.values())
        assert name + "".join(f"{value:.2f}" for value in values) in cells
    for key in ("mIoU", "OA", "F1", "BF1"):
        assert key + "".join(f"{r[key]:.2f}" for r in results.values()) in cells
    assert f"fused reaches {results['fused']['mIoU']:.2f} % mIoU" in text
    found = in_browser(page)
    # a panel, the best and the worst of three images; two batches of 2 + 2 items, 2 students
    assert found["images"] == 3 + 2 * (2 * 2 + 2 * 3 * 3)
    assert found["bad"] == found["asked"] == found["faults"] == found["console"] == []


def test_a_run_without_a_test_set_has_a_page(toy_cfg, run):
    toy_cfg.DATASETS.TEST = ()
    text = run().read_text(encoding="utf-8")
    assert "Left out. Nothing was scored" in text
    assert "Weighted losses of global" in text


@pytest.mark.parametrize(
    ("error", "words"), [(OSError("no space"), "no space"), (KeyError("x"), "fault of the program")]
)
def test_a_page_that_cannot_be_written_costs_no_run(toy_cfg, train, monkeypatch, log, error, words):
    def fail(folder):
        raise error

    monkeypatch.setattr(report, "write_report_page", fail)
    monkeypatch.setattr(trainer, "write_run_pictures", lambda folder: None)
    toy_cfg.TEST.PANELS = toy_cfg.TEST.SNAPSHOTS = 0
    _, results = train(toy_cfg)
    assert results["sem_seg"]["mIoU"] > 0
    assert Path(toy_cfg.OUTPUT_DIR, "report.json").is_file()
    assert "No report.html" in log.text
    assert words in log.text
    assert ("fault of the program" in log.text) == isinstance(error, KeyError)
