"""Checkpoints: the last few are kept, torn ones passed over, what a killed run leaves removed."""

import os
from pathlib import Path

import pytest
import torch

from co2s.engine import checkpoints
from co2s.engine.checkpoints import best_checkpoint, is_whole, newest_whole


@pytest.fixture
def cfg(toy_cfg):
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.CHECKPOINT_PERIOD = 6, 1
    toy_cfg.TEST.PANELS = 0
    toy_cfg.TEST.CALIBRATE = False
    return toy_cfg


def checkpoints_in(cfg):
    return sorted(path.name for path in Path(cfg.OUTPUT_DIR).glob("model_*.pth"))


def test_the_last_few_are_kept_over_a_resumed_run(cfg, train):
    cfg.SOLVER.CHECKPOINTS_KEPT = 3
    train(cfg, steps=4)
    assert checkpoints_in(cfg) == [*(f"model_000000{n}.pth" for n in (1, 2, 3)), "model_final.pth"]
    train(cfg, resume=True)
    assert checkpoints_in(cfg) == [*(f"model_000000{n}.pth" for n in (3, 4, 5)), "model_final.pth"]
    cfg.SOLVER.CHECKPOINTS_KEPT = 0
    with pytest.raises(ValueError, match="CHECKPOINTS_KEPT is 0"):
        train(cfg)


def test_a_flipped_bit_is_found_and_the_one_before_gone_on_from(cfg, train, log):
    train(cfg, steps=3)
    last = Path(cfg.OUTPUT_DIR, "model_final.pth")
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1  # in the weights: size and table of contents stay
    last.write_bytes(content)
    trainer, _ = train(cfg, resume=True)
    assert trainer.start_iter == 3
    assert "model_final.pth is damaged" in log.text


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    path, read = tmp_path / "model_final.pth", []
    torch.save({"a": torch.ones(3)}, path)
    test = checkpoints.zipfile.ZipFile.testzip
    monkeypatch.setattr(
        checkpoints.zipfile.ZipFile, "testzip", lambda self: read.append(1) or test(self)
    )
    assert is_whole(path) and is_whole(path) and len(read) == 1
    path.write_bytes(path.read_bytes()[:-10])
    assert not is_whole(path)


def test_the_step_in_its_name_makes_a_checkpoint_the_newer_one(tmp_path):
    names = ("model_0000099.pth", "model_0000009.pth", "model_best.pth")  # oldest file first
    for time, name in enumerate(names):
        torch.save({"a": torch.ones(3)}, tmp_path / name)
        os.utime(tmp_path / name, (time, time))
    (tmp_path / "last_checkpoint").write_text("model_final.pth")
    for name in names:
        assert newest_whole(str(tmp_path)) == str(tmp_path / name)
        (tmp_path / name).unlink()
    assert newest_whole(str(tmp_path)) == ""


def test_drafts_of_a_killed_run_are_removed(cfg, train, log):
    out = Path(cfg.OUTPUT_DIR)
    (out / "inference" / "x").mkdir(parents=True)
    drafts = [out / ".0123456789abcdef.part", out / "inference" / "x" / ".00000000000000ff.part"]
    others = [out / ".hidden", out / "notes.part", out / ".0123.part"]
    for path in (*drafts, *others):
        path.write_text("half of it")
    train(cfg, steps=1)
    assert not any(path.exists() for path in drafts) and all(path.exists() for path in others)
    assert "Removed" in log.text


def test_another_run_in_the_folder_is_put_aside_and_never_gone_on_from(cfg, train, log):
    train(cfg, steps=4)
    out = Path(cfg.OUTPUT_DIR)
    first = torch.load(out / "model_final.pth", weights_only=True)["model"]
    cfg.SOLVER.CHECKPOINT_PERIOD, cfg.SEED = 100, 2
    train(cfg, steps=2)
    assert checkpoints_in(cfg) == ["model_final.pth"]
    assert (out / "report.json").is_file() and "held another run" in log.text
    steps = [line for line in (out / "metrics.json").read_text().splitlines() if "loss" in line]
    assert len(steps) == 1, "the curves are this run's"
    former = torch.load(out / "former" / "model_final.pth", weights_only=True)["model"]
    assert all(torch.equal(value, former[name]) for name, value in first.items())
    for path in out.glob("model_*.pth"):
        path.unlink()
    assert newest_whole(str(out)) == ""


def test_a_damaged_best_model_is_said(cfg, train, log):
    cfg.TEST.EVAL_PERIOD = 2
    train(cfg, steps=4)
    path = Path(best_checkpoint(cfg))
    path.write_bytes(path.read_bytes()[:-100])
    train(cfg, resume=True)
    assert "model_best.pth is damaged" in log.text


def test_the_last_checkpoint_is_made_up_where_a_kill_came_before_it(cfg, train):
    train(cfg)
    out = Path(cfg.OUTPUT_DIR)
    whole = torch.load(out / "model_final.pth", weights_only=True)
    (out / "model_final.pth").unlink()
    (out / "report.json").unlink()
    trainer, _ = train(cfg, resume=True)
    assert trainer.start_iter == 6
    again = torch.load(out / "model_final.pth", weights_only=True)
    assert again["iteration"] == whole["iteration"] == again["trainer"]["iteration"]
    assert all(torch.equal(value, again["model"][name]) for name, value in whole["model"].items())
    assert (out / "report.json").is_file()
