"""Snapshots: what a step saw is stored, and the run does not notice."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.engine import SemiSupervisedTrainer


class Killed(Exception):
    pass


class Keeping(SemiSupervisedTrainer):
    """Keeps what every step saw, and can be killed before one."""

    kill_before = -1

    def run_step(self):
        if self.iter == self.kill_before:
            raise Killed
        super().run_step()
        self.seen = [*getattr(self, "seen", []), [*self._trainer.batches]]


class Cut(Keeping):
    kill_before = 3


@pytest.fixture(autouse=True)
def few_pictures(toy_cfg, monkeypatch):
    toy_cfg.TEST.PANELS = 0
    toy_cfg.DATASETS.TEST = ()


def files(cfg):
    return sorted(Path(cfg.OUTPUT_DIR, "snapshots").glob("*"))


def stored(cfg, step):
    with np.load(Path(cfg.OUTPUT_DIR, "snapshots", f"step_{step:07d}.npz")) as content:
        arrays = {name: content[name] for name in content.files}
    return json.loads(str(arrays.pop("about"))), arrays


def losses(cfg):
    lines = Path(cfg.OUTPUT_DIR, "metrics.json").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    timed = ("time", "data_time", "rank_data_time", "eta_seconds")
    return [{k: v for k, v in r.items() if k not in timed} for r in records]


@pytest.mark.parametrize("method", ["Co2S", "FixMatch", "OnlySup"])
def test_a_run_is_the_same_with_and_without(toy_cfg, train, tmp_path, method):
    toy_cfg.MODEL.META_ARCHITECTURE = method
    toy_cfg.SOLVER.MAX_ITER = 4
    ends = []
    for number in (0, 4):
        toy_cfg.TEST.SNAPSHOTS, toy_cfg.OUTPUT_DIR = number, str(tmp_path / f"out{number}")
        trainer, _ = train(toy_cfg)
        assert len(files(toy_cfg)) == number
        rng = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
        ends.append(
            (trainer.method.state_dict(), trainer.optimizer.state_dict(), rng, toy_cfg.OUTPUT_DIR)
        )
    (one, opt_one, rng_one, _), (two, opt_two, rng_two, _) = ends
    assert one.keys() == two.keys()
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    for key, state in opt_one["state"].items():
        for name, value in state.items():
            assert torch.equal(value, opt_two["state"][key][name])
    assert torch.equal(rng_one[0], rng_two[0])
    assert (rng_one[1] == rng_two[1]).all()
    toy_cfg.OUTPUT_DIR = ends[0][3]
    without = losses(toy_cfg)
    toy_cfg.OUTPUT_DIR = ends[1][3]
    assert without == losses(toy_cfg)


def test_what_a_step_saw_is_stored(toy_cfg, train):
    toy_cfg.TEST.SNAPSHOTS = 2
    toy_cfg.MODEL.CO2S.THRESHOLD = 0.5
    trainer, _ = train(toy_cfg, kind=Keeping)
    assert [path.name for path in files(toy_cfg)] == ["step_0000001.npz", "step_0000006.npz"]
    about, arrays = stored(toy_cfg, 6)
    (batch,) = trainer.seen[-1]
    assert about["step"] == 6
    assert about["classes"] == ["dark", "light"]
    assert about["files"]["unlabeled"] == [item["file_name"] for item in batch["unlabeled"]]
    for i, item in enumerate(batch["labeled"]):
        assert (arrays["labeled"][i] == item["image"].permute(1, 2, 0).numpy()).all()
        assert (arrays["labeled_target"][i] == item["sem_seg"].numpy()).all()
    for i, item in enumerate(batch["unlabeled"]):
        assert (arrays["weak"][i] == item["image"].permute(1, 2, 0).numpy()).all()
        for v in range(2):
            box = item["cutmix"][v].numpy()
            assert (arrays[f"box{v + 1}"][i] == box).all()
            own, pasted = (x["strong"][v].permute(1, 2, 0).numpy() for x in (item, item["partner"]))
            assert (arrays[f"strong{v + 1}"][i] == np.where(box[..., None], pasted, own)).all()
    shown = trainer.method.shown(batch)  # the last step's model is still there
    for student in ("global", "local"):
        for view in ("weak", "strong1", "strong2"):
            label = shown[student][view]
            assert (arrays[f"label/{student}/{view}"] == label.label.numpy()).all()
            assert (arrays[f"kept/{student}/{view}"] == label.kept(0.5).numpy()).all()


@pytest.mark.parametrize("partner", ["rolled", "previous"])
def test_partners_are_those_of_the_step(toy_cfg, train, partner):
    """Those from the batch before are others once the step is made."""
    toy_cfg.DATALOADER.CUTMIX_PARTNER = partner
    toy_cfg.INPUT.CUTMIX.PROB = 1.0
    toy_cfg.TEST.SNAPSHOTS, toy_cfg.SOLVER.MAX_ITER = 3, 3
    trainer, _ = train(toy_cfg, kind=Keeping)
    (before,), (batch,) = trainer.seen[1:]
    own = batch["unlabeled"]
    partners = before["unlabeled"] if partner == "previous" else [own[-1], *own[:-1]]
    _, arrays = stored(toy_cfg, 3)
    for i, (item, other) in enumerate(zip(own, partners, strict=True)):
        box = item["cutmix"][0].numpy()[..., None]
        assert box.any()
        mine, theirs = (x["strong"][0].permute(1, 2, 0).numpy() for x in (item, other))
        assert (arrays["strong1"][i] == np.where(box, theirs, mine)).all()


def test_the_first_of_several_batches_of_a_step_is_stored(toy_cfg, train):
    toy_cfg.SOLVER.ACCUMULATE, toy_cfg.SOLVER.IMS_PER_BATCH = 2, 4
    toy_cfg.TEST.SNAPSHOTS, toy_cfg.SOLVER.MAX_ITER = 1, 2
    trainer, _ = train(toy_cfg, kind=Keeping)
    first, second = trainer.seen[0]
    names = [item["file_name"] for item in first["unlabeled"]]
    assert stored(toy_cfg, 1)[0]["files"]["unlabeled"] == names
    assert len(second["unlabeled"]) == 2


def test_labelled_crops_alone_where_nothing_else_is_looked_at(toy_cfg, train):
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    toy_cfg.DATASETS.UNLABELED = ()
    toy_cfg.SOLVER.MAX_ITER = 2
    train(toy_cfg)
    about, arrays = stored(toy_cfg, 1)
    assert arrays.keys() == {"labeled", "labeled_target"}
    assert about["files"]["unlabeled"] == []


def test_a_moment_is_not_taken_again(toy_cfg, train):
    """Killed after step 3, of which step 2 has the last checkpoint."""
    toy_cfg.TEST.SNAPSHOTS = 6
    with pytest.raises(Killed):
        train(toy_cfg, kind=Cut)
    before = {path: path.stat().st_mtime_ns for path in files(toy_cfg)}
    assert [path.name[-5:-4] for path in before] == ["1", "2", "3"]
    train(toy_cfg, resume=True)
    after = files(toy_cfg)
    assert [path.name[-5:-4] for path in after] == ["1", "2", "3", "4", "5", "6"]
    assert all(path.stat().st_mtime_ns == before[path] for path in before)


def test_another_run_in_the_folder_starts_anew(toy_cfg, train):
    toy_cfg.TEST.SNAPSHOTS = 6
    train(toy_cfg)
    toy_cfg.TEST.SNAPSHOTS, toy_cfg.SEED = 1, 2
    train(toy_cfg)
    assert [path.name for path in files(toy_cfg)] == ["step_0000001.npz"]


def test_a_full_disk_costs_the_picture_and_not_the_run(toy_cfg, train, log):
    Path(toy_cfg.OUTPUT_DIR).mkdir()
    Path(toy_cfg.OUTPUT_DIR, "snapshots").write_text("a file where the folder should be")
    trainer, _ = train(toy_cfg)
    assert trainer.made == 6
    assert "could not be stored" in log.text
