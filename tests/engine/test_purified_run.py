"""A run whose pseudo-labels are purified: what it tells, what it shows, and that it goes on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.data import get_records, get_spec
from co2s.data.catalog import known_masks
from co2s.preparation.grounding import FromLabels, ground
from co2s.report import write_report_page

NAME = "engine_toy_1_4_unlabeled"


@pytest.fixture
def purified(toy_cfg, tmp_path):
    """The toy configuration with boxes made from the labels; the students' word is never taken."""
    specs = {"engine_toy": get_spec(NAME)}
    finder = FromLabels(known_masks([NAME]), specs, least_area=1)
    ground(get_records(NAME), specs, tmp_path / "boxes", ["dark", "light"], finder)
    toy_cfg.DATASETS.TEST, toy_cfg.DATASETS.DIAGNOSE = (), True
    node = toy_cfg.MODEL.PURIFIER
    node.NAME, node.BOXES = "VLMPurifier", str(tmp_path / "boxes")
    node.UNSURE = node.REPLACE = 1.0
    toy_cfg.MODEL.META_ARCHITECTURE, toy_cfg.SOLVER.MAX_ITER = "FixMatch", 4
    return toy_cfg


def metrics(cfg):
    lines = Path(cfg.OUTPUT_DIR, "metrics.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def page_of(folder, cfg):
    (folder / "config.yaml").write_text(cfg.dump())
    return Path(write_report_page(folder)).read_text()


def test_it_tells_and_shows_what_was_changed(purified, train):
    purified.MODEL.STUDENTS, purified.MODEL.FIXMATCH.THRESHOLD = ("local",), 0.5
    train(purified)
    last = metrics(purified)[-1]
    assert last["precision/local"] == 1.0 > last["precision_before/local"], "the truth's"
    assert last["coverage/local"] == last["coverage_before/local"] == 1.0, "of two classes"
    assert 0 < last["replaced/local"] < 1
    assert {"coverage_before/local/dark", "coverage_before/local/light"} & last.keys()
    folder = Path(purified.OUTPUT_DIR)
    with np.load(sorted(folder.glob("snapshots/*.npz"))[-1]) as content:
        arrays = {name: content[name] for name in content.files}
    said = arrays["boxes_say"]
    assert said.shape == (2, 16, 16) and {*np.unique(said)} <= {0, 1}
    assert (arrays["label/local/weak"] == said).all()
    assert (arrays["label/local/before"] != said).any()
    assert arrays["kept/local/weak"].all() and "kept/local/before" in arrays
    page = page_of(folder, purified)
    for words in (
        "What the purifier changed for local",
        "Pixels of local that the purifier gave another class",
        "Pseudo-labels of local that are kept, before and after",
        "Pseudo-labels of local that are right, of those kept, before and after",
        "Coverage of local before the purifier, by class",
        "local, weak, before: ",
    ):
        assert words in page, words
    snapshots = len([*folder.glob("snapshots/*.npz")])
    assert page.count("<figcaption>stored boxes</figcaption>") == 2 * snapshots > 0


def test_without_a_purifier_none_of_it_is_there(purified, train):
    purified.MODEL.PURIFIER.NAME, purified.MODEL.STUDENTS = "", ("local",)
    purified.TEST.SNAPSHOTS = 1
    train(purified)
    assert not any("before" in key or "replaced" in key for key in metrics(purified)[-1])
    page = page_of(Path(purified.OUTPUT_DIR), purified)
    assert "What the purifier changed" not in page and "<figcaption>stored boxes" not in page


def test_a_cut_run_goes_on_exactly(purified, train, tmp_path):
    purified.MODEL.META_ARCHITECTURE, purified.TEST.SNAPSHOTS = "Co2S", 0
    purified.MODEL.PURIFIER.UNSURE, purified.MODEL.PURIFIER.REPLACE = 0.99, 0.7
    whole, _ = train(purified)
    purified.OUTPUT_DIR = str(tmp_path / "cut")
    train(purified, steps=2)
    rest, _ = train(purified, resume=True)
    states = whole.method.state_dict(), rest.method.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
