"""Tables: numbers that can be told by hand, what lacks stays empty, three kinds of files."""

import csv

import pytest

from co2s.config import defaults
from co2s.d2 import CfgNode
from co2s.engine.report import options
from co2s.engine.runner import Entry
from co2s.engine.runner.cells import decisive, digest, write_floors


def rows_of(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    header, _, *rows = cells
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}


@pytest.fixture
def filled(stubbed):
    """Labelled-only reaches 30 and 50, Co2S 5 more at each seed; both are sure of their images."""
    bench = stubbed.bench("OnlySup", "Co2S", seeds=(0, 1), published={"Co2S": 61.5}, source="them")
    own = {"OnlySup": (0.3, 0.5), "Co2S": (0.35, 0.55)}
    stubbed.prepare(bench, lambda cell: own[cell.entry.method][cell.cfg.SEED])
    stubbed.run(bench, jobs=2)
    return bench, bench.write(bench.groups[0])


def test_numbers_by_hand(filled):
    _, text = filled
    rows = rows_of(text)
    # OnlySup predicts with one student, so nothing of it is called fused.
    assert rows["OnlySup"]["local"] == "40.0 ± 14.1" and rows["OnlySup"]["fused"] == ""
    assert rows["Co2S"]["fused"] == "45.0 ± 14.1"
    assert rows["Co2S"]["95 % interval"] == "35.0 to 55.0", "means of two draws of two seeds"
    assert rows["Co2S"]["over OnlySup"] == "+5.0 (+5.0 to +5.0)", "a seed is compared with itself"
    assert rows["OnlySup"]["over OnlySup"] == ""
    assert (rows["Co2S"]["published"], rows["OnlySup"]["published"]) == ("61.5", "")
    assert [rows["Co2S"][name] for name in ("seeds", "steps", "h:mm:ss", "GiB")] == [
        "2",
        "6",
        "1:00:00",
        "2.0",
    ]
    assert "Published, not run here: them." in text and "were left out (--no-floors)" in text


def test_every_cell_has_the_digest_of_its_configuration(filled):
    bench, text = filled
    digests = [digest(cell.cfg) for cell in bench.all_cells]
    assert len({*digests}) == 4 and all(text.count(found) == 1 for found in digests)
    cfg = bench.all_cells[0].cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR, cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = "/a", "/a/text.npz"
    here = digest(cfg)
    cfg.OUTPUT_DIR, cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = "/b/c", "/b/c/text.npz"
    cfg.DATASETS.ROOT, cfg.DATALOADER.NUM_WORKERS = "/elsewhere", 3
    assert digest(cfg) == here, "places and workers decide nothing"
    assert cfg.MODEL.META_ARCHITECTURE == "OnlySup"
    cfg.MODEL.CO2S.THRESHOLD = 0.1
    assert digest(cfg) == here, "keys of a method that does not run"
    cfg.MODEL.META_ARCHITECTURE = "Co2S"
    low = digest(cfg)
    cfg.MODEL.CO2S.THRESHOLD = 0.2
    assert len({here, low, digest(cfg)}) == 3
    assert decisive(options(cfg))["MODEL.GLOBAL.GUIDANCE.PROTOTYPES"] == "OUTPUT_DIR/text.npz"


def test_a_key_that_is_younger_than_a_run_has_its_default_there(stubbed, monkeypatch):
    bench = stubbed.bench("OnlySup", "Co2S", floors=True)
    stubbed.prepare(bench)
    stubbed.run(bench)
    for floors in bench.floors.values():
        write_floors(floors)
    before = [digest(cell.cfg) for cell in bench.all_cells]
    monkeypatch.setattr(defaults, "_METHODS", [*defaults._METHODS, add_younger_config])
    student = defaults._student
    monkeypatch.setattr(defaults, "_student", lambda *given: with_younger_key(student(*given)))
    again = stubbed.bench("OnlySup", "Co2S", floors=True)
    assert [digest(cell.cfg) for cell in again.all_cells] == before
    assert rows_of(again.write(again.groups[0]))["Co2S"]["seeds"] == "1"
    with pytest.raises(ValueError, match=r"MODEL\.YOUNGER\.SHARE: 0\.5 there, 0\.7 here"):
        stubbed.bench("OnlySup", opts=("MODEL.YOUNGER.SHARE", "0.7"))


def with_younger_key(node):
    node.HEAD.YOUNGER = 1
    return node


def add_younger_config(cfg):
    cfg.MODEL.YOUNGER = CfgNode()
    cfg.MODEL.YOUNGER.SHARE = 0.5


def test_rows_of_one_table_alone_have_no_floors(stubbed):
    ceiling = Entry("All labels", "OnlySup", ("INPUT.TEST_SCALE", "0.5"))
    own = {"INPUT.TEST_SCALE": "--splits"}
    bench = stubbed.bench("OnlySup", floors=True, own=own, entries=(ceiling,))
    titles = [cell.entry.title for cell in bench.all_cells]
    assert titles == ["OnlySup", "All labels"]
    (parts,) = bench.floors.values()
    assert not any("All labels" in title for title in parts)
    with pytest.raises(ValueError, match=r"INPUT.TEST_SCALE is what --splits sets here"):
        stubbed.bench("x:OnlySup,INPUT.TEST_SCALE=0.5", own=own)
    with pytest.raises(ValueError, match="would share a folder"):
        stubbed.bench("All labels:OnlySup,SEED=1", entries=(ceiling,))


def test_what_is_not_there_stays_empty(stubbed):
    bench = stubbed.bench("OnlySup", "Co2S", seeds=(0, 1))
    stubbed.prepare(bench, lambda cell: 0.4, lambda cell: "fail" if cell.cfg.SEED else "")
    stubbed.run(bench)
    (bench.groups[0].folder / "Co2S_seed0" / "report.json").unlink()
    rows = rows_of(bench.write(bench.groups[0]))
    assert rows["OnlySup"] == {
        "local": "40.0",
        "95 % interval": "40.0 to 40.0",
        "seeds": "1 of 2",
        "steps": "6",
        "h:mm:ss": "1:00:00",
        "GiB": "2.0",
    }
    assert {*rows["Co2S"].values()} == {"", "0 of 2"}


def test_without_matrices_there_is_no_interval_and_it_is_said(filled):
    bench, _ = filled
    folder = bench.groups[0].folder / "Co2S_seed1"
    (folder / "inference" / "engine_toy_val" / "per_image.npz").unlink()
    text = bench.write(bench.groups[0])
    rows = rows_of(text)
    assert rows["Co2S"]["95 % interval"] == "" and rows["Co2S"]["fused"] == "45.0 ± 14.1"
    assert "No interval for Co2S: " in text and "Co2S_seed1" in text


def test_the_other_files_say_the_same(filled):
    bench, _ = filled
    path = bench.groups[0].table
    with open(path.with_name("comparison.csv"), newline="") as file:
        found = {(row["row"], row["prediction"]): row for row in csv.DictReader(file)}
    row = found["Co2S", "fused"]
    assert [float(row[key]) for key in ("mean", "low", "high", "gain", "published")] == (
        pytest.approx([45, 35, 55, 5, 61.5])
    )
    assert row["counts"] == "1" and found["Co2S", "local"]["mean"] == ""
    assert row["digests"].split()[1] == f"1:{digest(bench.all_cells[3].cfg)}"
    latex = path.with_name("comparison.tex").read_text()
    assert r"\toprule" in latex and latex.count(r"\\") == 3
    assert r"mIoU, \%, engine\_toy\_val & local & fused" in latex
    assert r"45.0 $\pm$ 14.1" in latex
