"""facts.json: what a run ran on, and how long all its sessions took."""

import json
from pathlib import Path

import pytest

import co2s
from co2s.engine import SemiSupervisedTrainer
from co2s.engine.facts import read_facts


class Killed(Exception):
    pass


class Cut(SemiSupervisedTrainer):
    def run_step(self):
        if self.iter == 3:
            raise Killed
        super().run_step()


@pytest.fixture(autouse=True)
def no_pictures_here(toy_cfg):
    toy_cfg.TEST.PANELS = toy_cfg.TEST.SNAPSHOTS = 0
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"


def facts(cfg):
    return json.loads(Path(cfg.OUTPUT_DIR, "facts.json").read_text())


def test_software_machine_data_and_students(toy_cfg, train):
    trainer, _ = train(toy_cfg)
    found = facts(toy_cfg)
    assert found["co2s"] == co2s.__version__
    assert found["processes"] == 1
    assert found["device"].startswith("CPU, ")
    assert found["data"]["labeled"] == {"engine_toy_1_4_labeled": 4}
    assert found["data"]["unlabeled"] == {"engine_toy_1_4_unlabeled": 12}
    assert found["data"]["test"] == {"engine_toy_val": 3}
    assert found["classes"] == ["dark", "light"]
    assert found["colors"] == [[0, 0, 0], [255, 255, 255]]
    local = sum(p.numel() for p in trainer.method.students["local"].parameters())
    assert found["students"]["local"]["parameters"] == local
    assert found["peak_memory"]["main"] > 50


def test_a_resumed_run_adds_a_session(toy_cfg, train):
    with pytest.raises(Killed):
        train(toy_cfg, kind=Cut)
    assert [s["first_step"] for s in facts(toy_cfg)["sessions"]] == [0]
    train(toy_cfg, resume=True)
    first, second = facts(toy_cfg)["sessions"]
    assert (first["first_step"], second["first_step"], second["last_step"]) == (0, 2, 6)
    assert first["seconds"] > 0
    assert first["ended"] <= second["started"]
    train(toy_cfg)  # another run
    assert len(facts(toy_cfg)["sessions"]) == 1


def test_nothing_of_it_is_in_the_report(toy_cfg, train):
    train(toy_cfg)
    text = Path(toy_cfg.OUTPUT_DIR, "report.json").read_text()
    assert "sessions" not in text
    assert "seconds" not in text


def test_what_cannot_be_read_is_nothing(tmp_path):
    assert read_facts(tmp_path / "facts.json") == {}
    (tmp_path / "facts.json").write_text("{")
    assert read_facts(tmp_path / "facts.json") == {}
