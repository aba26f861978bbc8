"""Pretraining by the trainer: labels only for S4, exact resumes, processes, files to start from."""

import argparse
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from co2s.d2 import build_model
from co2s.data import get_records, register_spec_file
from co2s.engine import SemiSupervisedTrainer, setup
from co2s.engine.config import known_methods
from co2s.engine.export import export_backbones, export_checkpoint, export_run
from co2s.modeling.backbone import build_backbone
from co2s.modeling.weights import read_metadata
from co2s.report import write_report_page

METHODS = [name for name, kind in known_methods().items() if kind.pretrains]
IMAGES_ALONE = [name for name in METHODS if not known_methods()[name].segments]
SPLITS = ("engine_toy_1_4_unlabeled", "engine_toy_1_4_labeled")

POOL = """
name: engine_pool
root: toy
layout: {images: "train/images/*.png"}
raster: {bands: [3, 2, 1, 1]}
"""

# The same images with three classes in place of two, and as many bands as it is given.
OTHER = """
_BASE_: engine_toy.yaml
name: engine_other
classes:
  - {name: dark, color: [0, 0, 0], concepts: [shadow]}
  - {name: gray, color: [99, 99, 99], concepts: [road]}
  - {name: light, color: [255, 255, 255], concepts: [snow]}
"""


@pytest.fixture
def cfg(toy_cfg):
    toy_cfg.DATASETS.LABELED = toy_cfg.DATASETS.TEST = ()
    toy_cfg.DATASETS.UNLABELED = SPLITS
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.CHECKPOINT_PERIOD = 4, 2
    toy_cfg.TEST.SNAPSHOTS = 0
    return toy_cfg


@pytest.fixture
def chosen(cfg, tmp_path):
    """A function (method) -> the configuration, with a teacher where the method has one."""

    def choose(name):
        cfg.MODEL.META_ARCHITECTURE = name
        if name == "FeatureDistillation":
            node = cfg.MODEL.DISTILLATION.TEACHER
            node.BACKBONE.MODEL, node.BACKBONE.FEATURES = "vit_base_patch16_224", [0, 0, 1]
            node.BACKBONE.WIDTH, node.BACKBONE.DEPTH, node.BACKBONE.HEADS = 24, 2, 2
            node.BACKBONE.IMAGE_SIZE = 16
            torch.manual_seed(5)
            save_file(build_backbone(node).to_file(), tmp_path / "teacher.safetensors")
            node.BACKBONE.WEIGHTS = str(tmp_path / "teacher.safetensors")
        if name == "S4":
            cfg.DATASETS.LABELED, cfg.DATASETS.UNLABELED = SPLITS[1:], SPLITS[:1]
            cfg.MODEL.FIXMATCH.THRESHOLD = 0.0
        return cfg

    return choose


def exports(cfg, *folders):
    return {*Path(cfg.OUTPUT_DIR, *folders).glob("backbone_*.safetensors")}


def test_the_methods_are_these():
    assert METHODS == ["FeatureDistillation", "MaskedImageModeling", "S4"]
    assert METHODS[:2] == IMAGES_ALONE


@pytest.mark.parametrize("name", IMAGES_ALONE)
def test_a_run_on_images_alone(chosen, train, toy, name):
    cfg = chosen(name)
    cfg.SOLVER.MAX_ITER, cfg.TEST.SNAPSHOTS = 20, 2
    shutil.rmtree(toy / "train" / "labels")
    (toy / "train" / "labels").mkdir()  # no mask is opened
    cfg.DATASETS.UNLABELED = SPLITS[:1]
    trainer, results = train(cfg)
    assert results == {}
    histories = trainer.storage.histories()
    losses = {n: [v for v, _ in h.values()] for n, h in histories.items() if "loss_" in n}
    assert {n.rsplit("_", 1)[1] for n in losses} == {"global", "local"}
    for values in losses.values():
        assert all(map(math.isfinite, values)) and values[-1] < values[0]
    Path(cfg.OUTPUT_DIR, "config.yaml").write_text(trainer.cfg.dump())  # as `setup` does
    assert set(export_backbones(trainer.cfg, trainer.method, 20)) == exports(cfg)
    page = Path(write_report_page(cfg.OUTPUT_DIR)).read_text()
    assert "could not be drawn" not in page and f"{name} on engine_toy_1_4_unlabeled" in page
    assert len(list(Path(cfg.OUTPUT_DIR, "snapshots").iterdir())) == 2
    cfg.SOLVER.MAX_ITER = 1
    train(cfg)  # another run in that folder
    assert exports(cfg) == set() and len(exports(cfg, "former")) == 2


def test_snapshots_and_facts_of_a_run_without_labels(chosen, train):
    cfg = chosen("FeatureDistillation")
    cfg.SOLVER.MAX_ITER, cfg.TEST.SNAPSHOTS = 1, 1
    train(cfg)
    folder = Path(cfg.OUTPUT_DIR)
    facts = json.loads((folder / "facts.json").read_text())
    assert facts["data"]["labeled"] == {} and facts["data"]["unlabeled"] == {
        SPLITS[0]: 12,
        SPLITS[1]: 4,
    }
    (snapshot,) = (folder / "snapshots").iterdir()
    with np.load(snapshot) as content:
        assert {"weak", "valid", "strong1", "box1"} <= {*content.files}
        assert not [name for name in content.files if "label" in name]


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_run_is_the_same_bit_for_bit(chosen, train, tmp_path, name):
    cfg = chosen(name)
    whole, _ = train(cfg)
    cfg.OUTPUT_DIR += "_cut"
    train(cfg, steps=2)
    (tmp_path / "teacher.safetensors").unlink(missing_ok=True)  # the checkpoint brings it
    resumed, _ = train(cfg, resume=True)
    assert resumed.start_iter == 2
    expected, found = whole.method.state_dict(), resumed.method.state_dict()
    assert expected.keys() == found.keys()
    assert [key for key in expected if not torch.equal(expected[key], found[key])] == []


def test_a_student_may_start_from_a_file_which_a_resumed_run_needs_no_more(
    chosen, train, complete, tmp_path
):
    cfg = chosen("MaskedImageModeling")
    first, _ = train(cfg)
    paths = export_backbones(first.cfg, first.method, first.made)
    for student, path in zip((cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL), paths, strict=True):
        student.BACKBONE.WEIGHTS = str(path.rename(tmp_path / path.name))
    cfg.OUTPUT_DIR, cfg.DATASETS.SPECS = f"{cfg.OUTPUT_DIR}_2", (str(tmp_path / "engine_toy.yaml"),)
    complete(cfg)
    args = argparse.Namespace(
        config_file=str(tmp_path / "given.yaml"), opts=[], eval_only=False, resume=False
    )
    prepared = setup(args)
    assert prepared.MODEL.GLOBAL.GUIDANCE.NAME == "TextPrototypes"
    assert prepared.MODEL.GLOBAL.GUIDANCE.PROTOTYPES == "", "no text is asked for"
    model = build_model(prepared)
    for name, student in first.method.students.items():
        found = model.students[name].state_dict()
        assert all(torch.equal(found[key], x) for key, x in student.state_dict().items())
    train(cfg, steps=2)
    for path in paths:
        (tmp_path / path.name).unlink()
    resumed, _ = train(cfg, resume=True)
    assert resumed.start_iter == 2 and resumed.made == 4


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_make_the_steps_of_one_in_two_parts(chosen, train, run_processes, name):
    cfg = chosen(name)
    cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.ACCUMULATE = 4, 2
    histories = train(cfg)[0].storage.histories()
    one = {k: [v for v, _ in h.values()] for k, h in histories.items() if "loss" in k}
    cfg.SOLVER.ACCUMULATE = 1
    two = json.loads(run_processes(cfg, 2).read_text())["losses"]
    assert two.keys() == one.keys() and len(one) == (5 if name == "S4" else 3)
    for key, values in one.items():
        assert len(values) == 4
        assert two[key] == pytest.approx(values, abs=1e-5), key


@pytest.fixture
def pool(tmp_path, toy, clean_catalog):
    """A function (bands) -> the one name of the toy's images alone."""

    def make(bands):
        (tmp_path / "pool.yaml").write_text(POOL.replace("[3, 2, 1, 1]", str(bands)))
        register_spec_file(tmp_path / "pool.yaml")
        return "engine_pool_unlabeled"

    return make


@pytest.fixture
def other(tmp_path, toy, clean_catalog):
    """A function (bands) -> the names of a dataset of other classes: labelled, unlabelled, val."""

    def make(bands=(1, 2, 3)):
        (tmp_path / "other.yaml").write_text(f"{OTHER}raster: {{bands: {[*bands]}}}\n")
        register_spec_file(tmp_path / "other.yaml", toy)
        return [f"engine_other_{part}" for part in ("1_4_labeled", "1_4_unlabeled", "val")]

    return make


def test_s4_learns_from_labels_of_one_dataset_and_images_of_any(chosen, train, pool, other, log):
    cfg, (_, unlabeled, _) = chosen("S4"), other()
    cfg.DATASETS.ROOT = ""
    cfg.DATASETS.UNLABELED = (pool([1, 2, 3]), unlabeled)
    cfg.DATASETS.DIAGNOSE, cfg.TEST.SNAPSHOTS = True, 1
    trainer, results = train(cfg)
    assert results == {} and trainer.cfg.MODEL.NUM_CLASSES == 2
    facts = json.loads(Path(cfg.OUTPUT_DIR, "facts.json").read_text())
    assert facts["data"]["labeled"] == {SPLITS[1]: 4} and facts["classes"] == ["dark", "light"]
    assert facts["data"]["unlabeled"] == {"engine_pool_unlabeled": 16, unlabeled: 12}
    assert f"{unlabeled} has other classes than the labelled images" in log.text
    assert "no mask lies there for any image" in log.text, "none is compared"
    Path(cfg.OUTPUT_DIR, "config.yaml").write_text(trainer.cfg.dump())
    page = Path(write_report_page(cfg.OUTPUT_DIR)).read_text()
    assert "could not be drawn" not in page and f"S4 on {SPLITS[1]}" in page


def test_s4_s_backbones_start_a_segmentation_of_other_classes(
    chosen, train, pool, other, tmp_path, no_pictures
):
    cfg, names = chosen("S4"), other()
    cfg.DATASETS.ROOT, cfg.DATASETS.UNLABELED = "", (pool([1, 2, 3]),)
    trainer, _ = train(cfg)
    export_run(trainer)
    trained = {name: s.backbone for name, s in trainer.method.students.items()}
    for name, backbone in trained.items():
        path = Path(cfg.OUTPUT_DIR) / f"backbone_{name}.safetensors"
        found, own = load_file(path), backbone.to_file()
        assert found.keys() == own.keys() and all(torch.equal(found[k], x) for k, x in own.items())
        assert read_metadata(path)["method"] == "S4" and read_metadata(path)["steps"] == "4"
        cfg.MODEL[name.upper()].BACKBONE.WEIGHTS = str(path.rename(tmp_path / path.name))
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.GLOBAL.GUIDANCE.NAME = "Co2S", "LearnableQueries"
    cfg.DATASETS.LABELED, cfg.DATASETS.UNLABELED, cfg.DATASETS.TEST = ((name,) for name in names)
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.BASE_LR = 2, 0.0
    cfg.TEST.CALIBRATE, cfg.OUTPUT_DIR = False, f"{cfg.OUTPUT_DIR}_other"
    started, results = train(cfg)
    assert started.cfg.MODEL.NUM_CLASSES == 3 and "mIoU" in results["sem_seg"]
    for name, backbone in trained.items():
        state, found = backbone.state_dict(), started.method.students[name].backbone.state_dict()
        assert state.keys() == found.keys()
        assert all(torch.equal(found[key], x) for key, x in state.items())


def test_s4_on_five_bands(chosen, train, pool, other, complete, tmp_path):
    bands = [3, 2, 1, 1, 2]
    cfg, (labeled, _, _) = chosen("S4"), other(bands)
    cfg.DATASETS.ROOT, cfg.MODEL.STUDENTS = "", ("local",)
    cfg.DATASETS.LABELED, cfg.DATASETS.UNLABELED = (labeled,), (pool(bands),)
    trainer, _ = train(cfg)
    export_run(trainer)
    path = Path(cfg.OUTPUT_DIR) / "backbone_local.safetensors"
    assert read_metadata(path)["bands"] == "5"
    cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = str(path)
    state = build_backbone(complete(cfg).MODEL.LOCAL, 5).state_dict()
    trained = trainer.method.students["local"].backbone
    assert trained.vit.patch_embed.proj.extra_bands.weight.any()
    assert all(torch.equal(state[key], x) for key, x in trained.state_dict().items())


def test_images_of_other_bands_are_refused_and_so_is_a_run_without_any(
    chosen, complete, train, pool
):
    cfg = chosen("S4")
    cfg.DATASETS.ROOT, cfg.DATASETS.UNLABELED = "", (pool([3, 2, 1, 1]),)
    with pytest.raises(ValueError, match=r"images of 3 bands, .*: engine_pool_unlabeled 4\."):
        complete(cfg, training=True)
    with pytest.raises(ValueError, match=r"DATASETS\.UNLABELED is empty\. Name at least one"):
        train(complete(cfg, "DATASETS.UNLABELED", "()"))


def test_the_last_step_is_exported_also_where_another_is_reported(
    chosen, train, complete, scripted, no_pictures
):
    cfg = chosen("S4")
    whole, _ = train(cfg)
    expected = [load_file(p) for p in export_backbones(whole.cfg, whole.method, whole.made)]
    cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD = ("engine_toy_val",), 2
    cfg.TEST.CALIBRATE, cfg.OUTPUT_DIR = False, f"{cfg.OUTPUT_DIR}_scored"
    trainer, results = train(cfg, kind=scripted([0.9, 0.1, 0.5]))
    assert results["sem_seg"]["mIoU"] == 0.5  # the final report
    reported = trainer.method.students["local"].backbone.to_file()
    assert not all(torch.equal(reported[key], x) for key, x in expected[1].items())
    for export in (lambda: export_run(trainer), lambda: export_checkpoint(complete(cfg))):
        export()
        for path, tensors in zip(sorted(exports(cfg)), expected, strict=True):
            found = load_file(path)
            assert read_metadata(path)["steps"] == "4"
            assert all(torch.equal(found[key], x) for key, x in tensors.items())


@pytest.mark.parametrize("half", [False, True])
def test_a_segmentation_starts_from_what_was_pretrained(chosen, train, complete, half):
    cfg = chosen("MaskedImageModeling")
    trainer, _ = train(cfg)
    method = trainer.method.eval()
    paths = export_backbones(trainer.cfg, method, trainer.made, half)
    assert [path.name for path in paths] == [
        "backbone_global.safetensors",
        "backbone_local.safetensors",
    ]
    about = read_metadata(paths[1])
    assert {k: about[k] for k in ("method", "steps", "bands", "depth", "heads", "patch")} == {
        "method": "MaskedImageModeling",
        "steps": "4",
        "bands": "3",
        "depth": "2",
        "heads": "2",
        "patch": "8",
    }
    assert json.loads(about["architecture"])["MODEL"] == cfg.MODEL.LOCAL.BACKBONE.MODEL
    assert {x.dtype for x in load_file(paths[0]).values()} == {
        torch.float16 if half else torch.float32
    }

    cfg.MODEL.META_ARCHITECTURE, cfg.DATASETS.LABELED = "Co2S", SPLITS[1:]
    cfg.DATASETS.UNLABELED, cfg.DATASETS.TEST = SPLITS[:1], ("engine_toy_val",)
    cfg.MODEL.GLOBAL.GUIDANCE.NAME = "LearnableQueries"
    for name, path in zip(("GLOBAL", "LOCAL"), paths, strict=True):
        cfg.MODEL[name].BACKBONE.WEIGHTS = str(path)
    model = build_model(complete(cfg)).eval()
    images = torch.randint(0, 256, (2, 3, 16, 16)).byte()
    for name in ("global", "local"):
        found, expected = (m.students[name].features(images) for m in (model, method))
        for key, x in expected.items():
            assert torch.equal(found[key], x) == (not half), key
            torch.testing.assert_close(found[key], x, atol=1e-2, rtol=1e-2)
    with pytest.raises(ValueError, match=r"`projections` are .*--export-only writes for BACKBONE"):
        model.load_state_dict(method.state_dict())


@pytest.mark.parametrize("name", METHODS)
def test_a_finished_run_is_exported_from_its_checkpoint_alone(
    chosen, train, complete, toy, tmp_path, name
):
    cfg = chosen(name)
    trainer, _ = train(cfg)
    first = [load_file(p) for p in export_backbones(trainer.cfg, trainer.method, trainer.made)]
    shutil.rmtree(toy)
    (tmp_path / "teacher.safetensors").unlink(missing_ok=True)
    again = export_checkpoint(complete(cfg))
    assert read_metadata(again[0])["steps"] == "4"
    for tensors, path in zip(first, again, strict=True):
        found = load_file(path)
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[k], x) for k, x in tensors.items())
    cfg.OUTPUT_DIR = str(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"nothing to export: .*empty holds no checkpoint"):
        export_checkpoint(complete(cfg))
    cfg.MODEL.META_ARCHITECTURE, cfg.DATASETS.LABELED = "UniMatch", SPLITS[1:]
    with pytest.raises(
        ValueError, match=r"UniMatch trains a segmentation.*MaskedImageModeling or S4"
    ):
        export_checkpoint(complete(cfg))


@pytest.mark.parametrize("name", ["MaskedImageModeling", "S4"])
def test_where_there_are_averages_those_are_exported(chosen, train, name):
    cfg = chosen(name)
    cfg.MODEL.EMA_DECAY = 0.9
    trainer, _ = train(cfg)
    paths = export_backbones(trainer.cfg, trainer.method, trainer.made)
    for name, path in zip(("global", "local"), paths, strict=True):
        average = trainer.method.teachers[name].module.backbone.to_file()
        student = trainer.method.students[name].backbone.to_file()
        found = load_file(path)
        assert all(torch.equal(found[key], x) for key, x in average.items())
        assert not all(torch.equal(found[key], x) for key, x in student.items())


def test_recomputed_layers_and_half_precision_change_no_file(chosen, train):
    cfg = chosen("MaskedImageModeling")
    cfg.SOLVER.AMP.ENABLED, cfg.MODEL.ACTIVATION_CHECKPOINTING = True, "block"
    trainer, _ = train(cfg)
    names = [file_names(p) for p in export_backbones(trainer.cfg, trainer.method, trainer.made)]
    cfg.SOLVER.AMP.ENABLED, cfg.MODEL.ACTIVATION_CHECKPOINTING = False, "none"
    trainer, _ = train(cfg)
    plain = [file_names(p) for p in export_backbones(trainer.cfg, trainer.method, trainer.made)]
    assert names == plain


def file_names(path):
    return {name: (x.shape, x.dtype) for name, x in load_file(path).items()}


def test_numbers_that_float16_cannot_hold_are_told(chosen, complete):
    cfg = complete(chosen("MaskedImageModeling"))
    model = build_model(cfg)
    with torch.no_grad():
        model.students["local"].backbone.vit.norm.weight[3] = 1e6
    with pytest.raises(ValueError, match=r"norm.weight of MODEL.LOCAL cannot .* leave --half away"):
        export_backbones(cfg, model, 0, half=True)
    assert not list(Path(cfg.OUTPUT_DIR).glob("*.safetensors")), "all of them or none"


def test_a_pool_of_plain_images_of_four_bands(cfg, train, tmp_path, toy, clean_catalog, complete):
    (tmp_path / "pool.yaml").write_text(POOL)
    register_spec_file(tmp_path / "pool.yaml")
    assert len(get_records("engine_pool_unlabeled")) == 16
    cfg.DATASETS.UNLABELED, cfg.DATASETS.ROOT = ("engine_pool_unlabeled",), ""
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.STUDENTS = "MaskedImageModeling", ("local",)
    trainer, _ = train(cfg)
    (path,) = export_backbones(trainer.cfg, trainer.method, trainer.made)
    assert load_file(path)["patch_embed.proj.weight"].shape[1] == 4
    assert read_metadata(path)["bands"] == "4"
    trained = trainer.method.students["local"].backbone
    assert trained.vit.patch_embed.proj.extra_bands.weight.any()
    cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = str(path)
    loaded = build_backbone(complete(cfg).MODEL.LOCAL, 4)
    state = loaded.state_dict()
    assert all(torch.equal(state[k], x) for k, x in trained.state_dict().items())


@pytest.mark.parametrize(
    ("opts", "words"),
    [
        (
            ("DATASETS.TEST", "('engine_toy_val',)"),
            r"reads nothing of DATASETS\.TEST\. Set that to",
        ),
        (("DATASETS.LABELED", str(SPLITS[1:])), r"nothing of DATASETS\.LABELED"),
        (("DATASETS.UNLABELED", "()"), r"learns from the images of DATASETS\.UNLABELED: name some"),
        (("MODEL.DISTILLATION.VIEW", "both"), r"VIEW is 'both'; it may be strong or weak"),
        (("MODEL.DISTILLATION.MAPS", "('skip_deep',)"), r"MAPS is .*name 'dense'"),
        (("MODEL.DISTILLATION.TEACHER_BANDS", "(0, 1)"), r"name three bands or more .* 0 to 2"),
        (("MODEL.DISTILLATION.TEACHER_BANDS", "(0, 1, 3)"), r"name three bands or more .* 0 to 2"),
        (("MODEL.DISTILLATION.TEACHER_SCALE", "0.0"), r"TEACHER_SCALE is 0.0"),
        (("MODEL.DISTILLATION.TEACHER.BACKBONE.WEIGHTS", ""), r"WEIGHTS is empty, and a teacher"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(chosen, complete, opts, words):
    with pytest.raises(ValueError, match=words):
        complete(chosen("FeatureDistillation"), *opts, training=True)


def test_more_that_is_refused(chosen, complete):
    with pytest.raises(ValueError, match=r"HIDDEN is 1\.0; it is a share"):
        complete(chosen("MaskedImageModeling"), "MODEL.MIM.HIDDEN", "1.0", training=True)
    cfg = chosen("FeatureDistillation")
    cfg.INPUT.CROP_SIZE = 20
    with pytest.raises(ValueError, match=r"CROP_SIZE 20 is not whole .*GLOBAL.* to 16 or 24"):
        build_model(complete(cfg))
    cfg.MODEL.META_ARCHITECTURE = "UniMatch"
    with pytest.raises(ValueError, match=r"DATASETS\.LABELED is empty"):
        SemiSupervisedTrainer.build_train_loader(complete(cfg, "MODEL.NUM_CLASSES", 2))


def test_a_request_to_score_is_refused(chosen, complete, tmp_path):
    path = tmp_path / "given.yaml"
    args = argparse.Namespace(config_file=str(path), opts=[], eval_only=True, resume=False)
    complete(chosen("MaskedImageModeling"))
    with pytest.raises(ValueError, match=r"--eval-only: MaskedImageModeling predicts no classes"):
        setup(args)
