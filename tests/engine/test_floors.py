"""Floors of a run: which there are, that they are one wherever nothing differs, what they leave."""

import json
from pathlib import Path

import pytest
import torch

from co2s.d2 import comm
from co2s.engine import SemiSupervisedTrainer, WholeCheckpointer, load_cfg
from co2s.engine.floors import distinct_floors, floors, folder_name, score_floor
from co2s.engine.report import options

COLOR = "Floor: colour statistics"


@pytest.fixture
def run(toy_cfg, complete):
    """A function (*opts) -> the complete configuration of a run."""
    return lambda *opts: complete(toy_cfg, *opts, training=True)


@pytest.fixture
def weights(run, tmp_path):
    """A file of the local student's backbone."""
    from co2s.modeling.backbone import build_backbone

    torch.manual_seed(3)
    backbone = build_backbone(run().MODEL.LOCAL)
    torch.save(backbone.vit.state_dict(), tmp_path / "weights.pth")
    return str(tmp_path / "weights.pth")


def test_every_backbone_has_its_floors(run, weights, tmp_path):
    cfg = run("MODEL.LOCAL.BACKBONE.WEIGHTS", weights, "SEED", "5")
    found = floors(cfg)
    assert [*found] == [
        COLOR,
        "Floor: global backbone, random",  # it starts from nothing
        "Floor: local backbone, pretrained",
        "Floor: local backbone, random",
    ]
    folders = ["color", "global_random_seed5", "local_pretrained", "local_random_seed5"]
    assert [Path(own.OUTPUT_DIR) for own in found.values()] == [
        Path(cfg.OUTPUT_DIR, "floors", name) for name in folders
    ]
    assert [own.SEED for own in found.values()] == [0, 5, 0, 5]
    nodes = [own.MODEL.LINEAR for own in found.values()]
    assert [node.BACKBONE.WEIGHTS for node in nodes] == ["", "", weights, ""]
    assert nodes[0].BACKBONE.NAME == "ColorStatistics"
    assert nodes[0].BACKBONE.PATCH_SIZE == 8, "the students' own"
    for own, node in zip(found.values(), nodes, strict=True):
        assert (own.MODEL.STUDENTS, own.MODEL.META_ARCHITECTURE) == (("linear",), "OnlySup")
        assert (node.HEAD.NAME, node.GUIDANCE.NAME) == ("LinearHead", "NoGuidance")
        assert node.BACKBONE.TRAINABLE == [] and own.INPUT.CROP_SIZE == 16
    kept = {**cfg.MODEL.LOCAL.BACKBONE, "TRAINABLE": []}
    assert kept == nodes[2].BACKBONE
    assert {**kept, "WEIGHTS": ""} == nodes[3].BACKBONE
    assert str(tmp_path / "x" / "color") == floors(cfg, tmp_path / "x")[COLOR].OUTPUT_DIR


def test_equal_backbones_count_once(run, toy_cfg):
    toy_cfg.MODEL.GLOBAL.BACKBONE = toy_cfg.MODEL.LOCAL.BACKBONE.clone()
    toy_cfg.MODEL.GLOBAL.BACKBONE.TRAINABLE = ["attn"]
    toy_cfg.MODEL.GLOBAL.GUIDANCE.NAME = "LearnableQueries"
    assert [*floors(run())] == [COLOR, "Floor: global and local backbone, random"]


def test_runs_that_differ_in_what_no_floor_reads_share_their_floors(run, tmp_path):
    changes = ["SOLVER.MAX_ITER", "9", "MODEL.CO2S.THRESHOLD", "0.1", "INPUT.FLIP", "0.0"]
    changes += ["MODEL.META_ARCHITECTURE", "UniMatch", "MODEL.LOCAL.HEAD.DIM", "32"]
    changes += ["DATASETS.VAL", "('engine_toy_val',)", "DATASETS.UNLABELED", "()"]
    changes += ["SOLVER.AMP.ENABLED", "True", "OUTPUT_DIR", str(tmp_path / "other")]
    one, other = (floors(cfg, tmp_path / "floors") for cfg in (run(), run(*changes)))
    assert {t: options(c) for t, c in one.items()} == {t: options(c) for t, c in other.items()}


def test_of_several_runs_every_floor_stands_once(run, weights, tmp_path):
    def seeds(*opts):
        return [run(*opts, "SEED", seed) for seed in ("1", "2")]

    prior = ("MODEL.LOCAL.BACKBONE.WEIGHTS", weights)
    finer = ("MODEL.LOCAL.BACKBONE.DEPTH", "3")
    runs = {
        "a": seeds(),
        "b": seeds("SOLVER.MAX_ITER", "3"),
        "c/d": seeds(*prior, *finer),
        "e": seeds(*prior, *finer, "SOLVER.MAX_ITER", "3"),
    }
    found = distinct_floors(runs, tmp_path)
    assert {title: len(cfgs) for title, cfgs in found.items()} == {
        COLOR: 1,
        "Floor: global backbone, random": 2,
        "Floor: local backbone, random": 2,
        "Floor: local backbone, pretrained": 1,
        "Floor: local backbone, random (c/d)": 2,
    }
    places = [Path(cfg.OUTPUT_DIR).relative_to(tmp_path) for cfgs in found.values() for cfg in cfgs]
    assert len({*places}) == len(places)
    assert [str(place) for place in places if place.parent.name] == [
        str(Path("c_d", f"local_random_seed{seed}")) for seed in (1, 2)
    ]
    assert distinct_floors({}, tmp_path) == {}


def test_a_run_that_starts_from_a_checkpoint_has_none(run, tmp_path):
    torch.save({}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"MODEL\.WEIGHTS is '.*model\.pth'.*BACKBONE\.WEIGHTS"):
        floors(run("MODEL.WEIGHTS", str(tmp_path / "model.pth")))


def test_a_scored_floor_is_a_run_like_others(run, monkeypatch):
    (cfg,) = (own for title, own in floors(run()).items() if "local" in title)
    results = score_floor(cfg)
    folder = Path(cfg.OUTPUT_DIR)
    report = json.loads((folder / "report.json").read_text())
    assert report["scores"] == {"engine_toy_val": results} and set(results) == {"linear", "sem_seg"}
    assert report["options"] == options(cfg) and report["steps"] == 0 and report["chosen"] is None
    facts = json.loads((folder / "facts.json").read_text())
    assert facts["sessions"][0]["seconds"] >= 0 and facts["students"]["linear"]["trained"] == 66
    # What --eval-only does, with the configuration and the checkpoint that lie there.
    opts = ["MODEL.WEIGHTS", str(folder / "model_final.pth")]
    again = load_cfg(str(folder / "config.yaml"), opts)
    model = SemiSupervisedTrainer.build_model(again)
    WholeCheckpointer(model, again.OUTPUT_DIR).resume_or_load(again.MODEL.WEIGHTS, resume=False)
    assert SemiSupervisedTrainer.test(again, model) == results


def test_a_floor_is_the_work_of_one_process(run, monkeypatch):
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="fitted by one process, and these are 2"):
        score_floor(floors(run())[COLOR])


def test_the_floor_of_pretrained_weights_starts_from_them(run, weights):
    found = floors(run("MODEL.LOCAL.BACKBONE.WEIGHTS", weights))
    own = found["Floor: local backbone, pretrained"]
    score_floor(own)
    saved = torch.load(Path(own.OUTPUT_DIR, "model_final.pth"), weights_only=True)["model"]
    given = torch.load(weights, weights_only=True)
    assert all(
        torch.equal(saved[f"students.linear.backbone.vit.{name}"], value)
        for name, value in given.items()
    )


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Co2S", "Co2S"),
        ("long run/2", "long_run_2"),
        ("../x", "x"),
        ("größer ± 2", "größer_2"),
        ("a" * 99, "a" * 80),
        ("?!", ""),
    ],
)
def test_folder_names(title, name):
    assert folder_name(title) == name
