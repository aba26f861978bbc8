"""Every shipped configuration loads, builds its model, and has the paper's constants."""

import math
from pathlib import Path

import pytest

from co2s.config import check_keys, get_co2s_cfg, read_given
from co2s.d2 import EventStorage, MetadataCatalog, build_model
from co2s.data import register_datasets
from co2s.engine import load_cfg
from co2s.model_zoo import (
    config_names,
    get_config,
    get_config_file,
    preset_names,
    preset_options,
)

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(
    [*(ROOT / "configs").rglob("*.yaml"), *(ROOT / "projects").glob("*/configs/**/*.yaml")]
)

# Section 4 of the method: classes, crop, global batch, epochs, resize, unlabelled share.
PAPER = {
    "whdld": (6, 256, 8, 80, "fit", "1_16"),
    "loveda": (7, 512, 4, 80, "long_side", "1_16"),
    "potsdam": (6, 512, 4, 80, "fit", "1_16"),
    "gid15": (15, 512, 4, 80, "fit", "1_8"),
    "mer": (9, 512, 4, 150, "fit", "1_8"),
    "msl": (9, 512, 4, 80, "fit", "1_8"),
}


SMALL = ["quickstart.yaml", "co2s_dubai72_small.yaml", "co2s_dubai72_vits.yaml"]
PRETRAINING = [f"pretrain_{n}.yaml" for n in ("co2s_tiny", "distill", "dubai72", "s4")]


def parameters(model):
    """{student: (trainable, all)} in millions."""
    return {
        name: tuple(
            sum(p.numel() for p in student.parameters() if p.requires_grad or not trained) / 1e6
            for trained in (True, False)
        )
        for name, student in model.students.items()
    }


def test_all_configs_are_known_here():
    built = {name for name in config_names() if not name.startswith(("Base-", "presets/"))}
    assert built == {f"co2s_{name}.yaml" for name in PAPER} | {*SMALL} | {*PRETRAINING}


@pytest.mark.parametrize("name", PRETRAINING)
def test_pretraining_config_takes_one_training_step(name, random_batch):
    cfg = load_cfg(get_config_file(name), ["MODEL.DEVICE", "cpu"])
    assert [s.BACKBONE.TRAINABLE for s in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL)] == [[""]] * 2
    cfg.defrost()
    cfg.MODEL.DISTILLATION.TEACHER.BACKBONE.WEIGHTS = ""  # nothing is downloaded here
    model = build_model(cfg).train()
    batch = random_batch(batch=1, size=cfg.INPUT.CROP_SIZE, views=1)
    if name != "pretrain_s4.yaml":  # which alone reads labels
        batch["labeled"] = []
    with EventStorage(0):
        losses = model(batch)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    if hasattr(model, "teacher"):  # as the file says: one cell of the one, one of the other
        maps = model.taught(batch["unlabeled"][0]["image"][None])
        assert maps["dense"].shape[-2:] == (12, 12) == (96 // 8,) * 2


@pytest.mark.parametrize("dataset", PAPER)
def test_paper_config(dataset):
    cfg = get_config(f"co2s_{dataset}.yaml")
    solver, co2s, split = cfg.SOLVER, cfg.MODEL.CO2S, PAPER[dataset][-1]
    found = (
        len(MetadataCatalog.get(f"{dataset}_val").stuff_classes),
        cfg.INPUT.CROP_SIZE,
        solver.IMS_PER_BATCH,
        solver.EPOCHS,
        cfg.INPUT.RESIZE,
        cfg.DATASETS.LABELED[0].removeprefix(f"{dataset}_").removesuffix("_labeled"),
    )
    assert found == PAPER[dataset]
    assert cfg.DATASETS.UNLABELED[0] == f"{dataset}_{split}_unlabeled"
    test_size = (0, 0) if dataset == "loveda" else (2048, 512)
    assert tuple(cfg.INPUT.TEST_BASE_SIZE) == test_size
    rates = (solver.BACKBONE_MULTIPLIER, solver.GUIDANCE_MULTIPLIER, solver.HEAD_MULTIPLIER)
    assert rates == (0.01, 1, 10)
    assert (solver.BASE_LR, solver.WEIGHT_DECAY, solver.POLY_POWER) == (1e-4, 0.01, 0.9)
    assert (co2s.THRESHOLD, *co2s.STRONG_WEIGHTS, co2s.FEATURE_WEIGHT) == (0.95, 0.25, 0.25, 0.5)
    assert (co2s.STABILITY_WEIGHT, co2s.STABILITY_RAMP) == (0.5, 0.2)


@pytest.mark.parametrize("dataset", PAPER)
def test_paper_model_is_vit_b_with_the_paper_s_parameter_counts(dataset):
    cfg = get_config(f"co2s_{dataset}.yaml")
    cfg.MODEL.DEVICE = "cpu"
    starts = [cfg.MODEL[name].BACKBONE.WEIGHTS for name in ("GLOBAL", "LOCAL")]
    assert starts == ["openai", "lvd1689m"]  # the priors are the method
    cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = ""
    counts = parameters(build_model(cfg))
    # Counted at 6 classes; another number changes the queries by less than 0.01 M.
    assert counts["global"] == pytest.approx((30.6, 88.4), rel=0.01)
    assert counts["local"] == pytest.approx((30.6, 87.9), rel=0.01)


@pytest.mark.parametrize("name", SMALL)
def test_small_config_takes_one_training_step(name, random_batch):
    cfg = get_config(name)
    register_datasets(cfg)
    cfg.MODEL.DEVICE = "cpu"
    for student in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL):
        if student.BACKBONE.WEIGHTS != "co2s-tiny":
            student.BACKBONE.WEIGHTS = ""  # nothing is downloaded here
    model = build_model(cfg).train()
    classes = len(MetadataCatalog.get(cfg.DATASETS.TEST[0]).stuff_classes)
    with EventStorage(0):
        losses = model(random_batch(batch=1, size=cfg.INPUT.CROP_SIZE, num_classes=classes))
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_unknown_key_and_unknown_dataset(tmp_path):
    cfg = get_config("quickstart.yaml")
    with pytest.raises((KeyError, AssertionError), match=r"CROPSIZE|Non-existent key"):
        cfg.merge_from_list(["INPUT.CROPSIZE", 3])
    cfg.DATASETS.LABELED = ("no_such_dataset_1_8_labeled",)
    cfg.DATASETS.TEST = ()
    with pytest.raises(ValueError, match="no_such_dataset"):
        build_model(cfg)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_key_of_a_shipped_config_is_read(path):
    given = read_given(str(path), [])
    check_keys(given, get_co2s_cfg())
    both = {"SOLVER.EPOCHS", "SOLVER.MAX_ITER"}
    assert not any(both <= values.keys() and values["SOLVER.EPOCHS"] for _, values in given.levels)


def test_presets_are_options_before_the_user_s(tmp_path):
    assert preset_names() == ["1x24gb", "1x8gb", "4x24gb", "8x80gb"]
    for name in preset_names():
        options = preset_options(name)
        cfg = load_cfg(get_config_file("co2s_gid15.yaml"), options)
        assert cfg.SOLVER.AMP.ENABLED and cfg.SOLVER.AMP.DTYPE == "bf16"
        gpus = int(name.split("x")[0])
        each, rest = divmod(cfg.SOLVER.IMS_PER_BATCH, gpus * cfg.SOLVER.ACCUMULATE)
        assert rest == 0 and each >= 1
        rate = 1e-4 * math.sqrt(cfg.SOLVER.IMS_PER_BATCH / 4)
        assert pytest.approx(rate, rel=0.02) == cfg.SOLVER.BASE_LR, "the rule of 8x80gb.yaml"
        again = load_cfg(
            get_config_file("co2s_gid15.yaml"), [*options, "SOLVER.AMP.ENABLED", "False"]
        )
        assert not again.SOLVER.AMP.ENABLED
    with pytest.raises(ValueError, match="no preset '2x'; there are 1x24gb"):
        preset_options("2x")
