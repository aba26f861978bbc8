"""A run's text prototypes: made once and reused, checked where given, refused where they misfit."""

import gc
import os
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.config import get_co2s_cfg
from co2s.d2 import MetadataCatalog, build_model, default_argument_parser
from co2s.data import set_root
from co2s.engine import setup
from co2s.modeling.guidance import build_guidance
from co2s.modeling.guidance.text import (
    encoder,
    name_prototypes,
    preparation,
    prepare_prototypes,
)
from co2s.modeling.guidance.text.file import load_prototypes, write_prototypes
from co2s.modeling.guidance.text.request import dense_channels
from co2s.modeling.guidance.text.source import TextSource
from co2s.modeling.metadata import declared_classes
from co2s.modeling.weights import WeightsError

from ..modeling.tiny_clip import NAME, register, write_weights

QUICK = f"{NAME}-quickgelu"
CONCEPTS = (("shadow",), ("snow",))
TEMPLATES = ("a photo of a {}",)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    register(tmp_path_factory.mktemp("models"))


@pytest.fixture
def cfg(toy_cfg, tmp_path):
    """A pair whose global student starts from a tiny CLIP's file."""
    toy_cfg.MODEL.GLOBAL.BACKBONE.MODEL = QUICK
    toy_cfg.MODEL.GLOBAL.BACKBONE.IMAGE_SIZE = 32
    toy_cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = write_weights(tmp_path / "clip.pt")
    return toy_cfg


@pytest.fixture
def given(cfg, tmp_path):
    """A function (concepts, templates, model, weights) that gives the run such a file."""

    def give(concepts=CONCEPTS, templates=TEMPLATES, model=QUICK, weights=None):
        source = TextSource(model, weights or cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS)
        record = source.record(("dark", "light"), concepts, templates)
        path = tmp_path / "given.npz"
        write_prototypes(path, source.prototypes(concepts, templates), record)
        cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = str(path)
        return path

    return give


def prepare(cfg):
    """As a training does at its start: named before the configuration is written, made after."""
    name_prototypes(cfg)
    frozen = cfg.clone()
    frozen.freeze()
    prepare_prototypes(frozen)


def expected_prototypes(cfg):
    source = TextSource(QUICK, cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS)
    return source.prototypes(CONCEPTS, tuple(cfg.MODEL.GLOBAL.GUIDANCE.TEMPLATES))


def test_made_from_the_backbones_weights_and_used(cfg, log):
    prepare(cfg)
    path = cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES
    assert path == str(Path(cfg.OUTPUT_DIR) / "prototypes_global.npz")
    assert cfg.MODEL.LOCAL.GUIDANCE.PROTOTYPES == ""
    record = load_prototypes(path)[1]
    assert (record.model, record.classes) == (QUICK, ("dark", "light"))
    assert (record.concepts, record.templates) == (CONCEPTS, TEMPLATES)
    assert "text prototypes of engine_toy_1_4_labeled made with tiny-clip-quickgelu" in log.text
    guidance = build_model(cfg).students["global"].guidance
    torch.testing.assert_close(guidance(), expected_prototypes(cfg))


def test_reused_when_all_four_match_else_made_anew(cfg, log, tmp_path):
    prepare(cfg.clone())
    path = Path(cfg.OUTPUT_DIR, "prototypes_global.npz")
    os.utime(path, (1, 1))
    prepare(cfg.clone())
    assert path.stat().st_mtime == 1
    assert "are reused" in log.text
    changes = {
        "digest": ("BACKBONE.WEIGHTS", write_weights(tmp_path / "other.pt", seed=1)),
        "templates": ("GUIDANCE.TEMPLATES", ("{} from above",)),
        "model": ("GUIDANCE.TEXT_MODEL", NAME),
    }
    for word, (key, value) in changes.items():
        log.clear()
        cfg.merge_from_list([f"MODEL.GLOBAL.{key}", value])
        os.utime(path, (1, 1))
        prepare(cfg.clone())
        assert path.stat().st_mtime > 1
        assert f"is made anew: {word}: found" in log.text
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"prototypes_global\.npz' cannot be read"):
        prepare(cfg)


def test_given_prototypes_that_match_are_left_alone(cfg, given, log):
    path = given()
    prepare(cfg)
    assert str(path) == cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES
    assert "given.npz fit" in log.text
    assert "not checked" not in log.text
    assert not Path(cfg.OUTPUT_DIR, "prototypes_global.npz").exists()


@pytest.mark.parametrize("differing", ["model", "digest", "concepts", "templates"])
def test_given_prototypes_of_another_origin_are_refused(cfg, given, tmp_path, differing):
    words = {
        "model": f"model: found {NAME}, wanted {QUICK}",
        "digest": "digest: found [0-9a-f]{64}, wanted [0-9a-f]{64}",
        "concepts": r"concepts: class 0 \(dark\): found 'night', wanted 'shadow'",
        "templates": r"templates: found '\{\} from above', wanted 'a photo of a \{\}'",
    }
    given(
        concepts=(("night",), ("snow",)) if differing == "concepts" else CONCEPTS,
        templates=("{} from above",) if differing == "templates" else TEMPLATES,
        model=NAME if differing == "model" else QUICK,
        weights=write_weights(tmp_path / "o.pt", seed=1) if differing == "digest" else None,
    )
    with pytest.raises(ValueError, match=words[differing]) as caught:
        prepare(cfg)
    text = str(caught.value)
    assert text.count("wanted") == 1, "the other three match"
    assert "MODEL.GLOBAL.GUIDANCE.PROTOTYPES" in text
    assert "make_prototypes.py --dataset engine_toy_1_4_labeled --model tiny-clip-quick" in text
    assert f"--output {tmp_path / 'given.npz'} --overwrite" in text


def test_the_command_for_other_templates_names_their_file(cfg, given):
    given()
    cfg.MODEL.GLOBAL.GUIDANCE.TEMPLATES = ("{} from above",)
    with pytest.raises(ValueError, match=r"--templates FILE_OF_GUIDANCE\.TEMPLATES"):
        prepare(cfg)


def test_weights_that_are_not_at_hand_are_not_fetched_for_a_check(cfg, given, log, monkeypatch):
    given()

    def fetch(*args):
        raise AssertionError("no download for a check alone")

    monkeypatch.setattr("open_clip.download_pretrained", fetch)
    cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = ""
    for weights in ("", "away/clip.pt"):
        log.clear()
        cfg.MODEL.GLOBAL.GUIDANCE.TEXT_WEIGHTS = weights
        prepare(cfg)
        assert "not checked, because not known: weights" in log.text
    cfg.MODEL.GLOBAL.GUIDANCE.TEXT_MODEL = "ViT-B-16"
    cfg.MODEL.GLOBAL.GUIDANCE.TEXT_WEIGHTS = "openai"
    with pytest.raises(ValueError, match="model: found tiny-clip-quickgelu, wanted ViT-B-16-quick"):
        prepare(cfg)


def test_a_plain_array_is_checked_for_its_shape_only(cfg, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 24), np.float32))
    np.save(tmp_path / "y.npy", np.ones((3, 24), np.float32))
    cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = str(tmp_path / "x.npy")
    prepare(cfg)
    cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = str(tmp_path / "y.npy")
    with pytest.raises(ValueError, match=r"MODEL\.GLOBAL.* have shape \(3, 24\).* \(2, 24\)"):
        prepare(cfg)


def test_nothing_is_made_without_weights_or_with_a_checkpoint(cfg):
    guidance = cfg.MODEL.GLOBAL.GUIDANCE
    cfg.MODEL.WEIGHTS = "model_final.pth"
    for path in ("", "checkpoint"):
        guidance.PROTOTYPES = path
        prepare(cfg)
        assert path == guidance.PROTOTYPES
    cfg.MODEL.WEIGHTS = ""
    with pytest.raises(
        ValueError, match=r"PROTOTYPES is 'checkpoint', and MODEL\.WEIGHTS names none"
    ):
        prepare(cfg)
    guidance.PROTOTYPES = cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = ""
    prepare(cfg)
    assert guidance.PROTOTYPES == ""
    assert not list(Path(cfg.OUTPUT_DIR).glob("*.npz"))


def test_a_file_beside_a_checkpoint_is_checked_without_the_backbone_s_weights(cfg, given):
    cfg.MODEL.WEIGHTS = "model_final.pth"
    path = str(given())
    cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = "away/clip.pt"
    prepare(cfg)
    assert path == cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES
    given(concepts=(("night",), ("snow",)), weights=str(Path(path).with_name("clip.pt")))
    with pytest.raises(ValueError, match=r"class 0 \(dark\): found 'night', wanted 'shadow'"):
        prepare(cfg)
    cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = "away.npz"
    with pytest.raises(
        FileNotFoundError, match=r"away\.npz.*no such file(.|\n)*leave the key empty"
    ):
        prepare(cfg)


def test_students_that_are_not_used_are_not_touched(cfg):
    cfg.MODEL.STUDENTS = ("local",)
    cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = "away/clip.pt"
    cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = "away/prototypes.npz"
    prepare(cfg)
    assert cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES == "away/prototypes.npz"


def test_pretrained_weights_without_any_text_are_an_error_and_no_stand_ins(cfg, tmp_path):
    local = cfg.MODEL.LOCAL
    local.GUIDANCE.NAME = "TextPrototypes"
    local.BACKBONE.WEIGHTS = "lvd1689m"
    words = r"none for the pretrained backbone TimmViT \(BACKBONE\.WEIGHTS lvd1689m\).*TEXT_WEIGHTS"
    with pytest.raises(ValueError, match=words):
        prepare(cfg)
    with pytest.raises(ValueError, match=words):  # whoever builds a model without preparing it
        build_guidance(local, 2, 32)


def test_text_for_a_backbone_without_text(cfg, tmp_path):
    """The timm backbone has 32 channels, the text 24 dimensions: said before anything is made."""
    local = cfg.MODEL.LOCAL
    local.GUIDANCE.NAME = "TextPrototypes"
    prepare(cfg)
    assert local.GUIDANCE.PROTOTYPES == "", "no text encoder is known: stand-ins"
    local.GUIDANCE.TEXT_WEIGHTS = cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS
    with pytest.raises(ValueError, match=r"TEXT_MODEL is empty.*TimmViT is no CLIP"):
        prepare(cfg)
    local.GUIDANCE.TEXT_MODEL = QUICK
    expected = r"MODEL\.LOCAL: .*24 dimensions.*32 channels.*TEXT_MODEL.*LearnableQueries"
    with pytest.raises(ValueError, match=expected):
        prepare(cfg)
    assert not Path(cfg.OUTPUT_DIR, "prototypes_local.npz").exists()
    local.BACKBONE.WIDTH = 24
    prepare(cfg)
    made = [load_prototypes(cfg.MODEL[n].GUIDANCE.PROTOTYPES)[0] for n in ("GLOBAL", "LOCAL")]
    np.testing.assert_array_equal(*made)
    assert local.GUIDANCE.PROTOTYPES.endswith("prototypes_local.npz")


def test_full_size_students_have_the_channels_of_the_paper():
    model = get_co2s_cfg().MODEL
    assert (dense_channels(model.GLOBAL), dense_channels(model.LOCAL)) == (512, 768)


def test_concepts_of_classes_come_from_the_dataset(cfg):
    assert declared_classes(cfg) == ("engine_toy_1_4_labeled", ("dark", "light"), CONCEPTS)
    MetadataCatalog.get("engine_no_concepts").stuff_classes = ["dark", "light"]
    cfg.DATASETS.LABELED = ("engine_no_concepts",)
    assert declared_classes(cfg).concepts == (("dark",), ("light",))
    cfg.MODEL.NUM_CLASSES = 5
    with pytest.raises(ValueError, match=r"5 classes \(MODEL\.NUM_CLASSES\).* declares 2"):
        prepare(cfg)
    cfg.DATASETS.LABELED = cfg.DATASETS.TEST = ()
    with pytest.raises(ValueError, match="declares 0"):
        prepare(cfg)


def test_files_that_are_not_what_the_configuration_says(cfg):
    backbone = cfg.MODEL.GLOBAL.BACKBONE
    backbone.SHA256 = "0" * 64
    with pytest.raises(WeightsError, match="SHA-256"):
        prepare(cfg)
    backbone.SHA256, backbone.WEIGHTS = "", "away/clip.pt"
    with pytest.raises(FileNotFoundError, match=r"away/clip\.pt"):
        prepare(cfg)


def test_the_text_encoder_is_gone_when_training_starts(cfg, monkeypatch):
    towers, tensors = [], []
    build, load = encoder.build_text_tower, encoder.clip_tensors

    def watched_build(*args):
        tower = build(*args)
        towers.append(weakref.ref(tower))
        return tower

    def watched_load(*args):
        loaded = load(*args)
        tensors.extend(weakref.ref(tensor) for tensor in loaded.values())
        return loaded

    monkeypatch.setattr(encoder, "build_text_tower", watched_build)
    monkeypatch.setattr(encoder, "clip_tensors", watched_load)
    prepare(cfg)
    model = build_model(cfg)
    gc.collect()
    assert len(towers) == 1 and towers[0]() is None
    assert len(tensors) > 40 and not any(reference() is not None for reference in tensors)
    assert not any("token_embedding" in name for name in model.state_dict())


def run_setup(cfg, tmp_path, toy, *opts, eval_only=False):
    path = tmp_path / "run.yaml"
    path.write_text(cfg.dump())
    args = default_argument_parser().parse_args(["--config-file", str(path)])
    args.opts, args.eval_only = list(opts), eval_only
    result = setup(args)
    set_root("engine_toy", toy)
    return result


def test_a_run_from_its_own_config_finds_its_prototypes(cfg, tmp_path, toy):
    first = run_setup(cfg, tmp_path, toy)
    path = Path(first.MODEL.GLOBAL.GUIDANCE.PROTOTYPES)
    assert first.is_frozen()
    assert path.parent == Path(cfg.OUTPUT_DIR)
    os.utime(path, (1, 1))
    model = build_model(first)
    torch.save({"model": model.state_dict()}, tmp_path / "last.pth")

    dumped = get_co2s_cfg()
    dumped.merge_from_file(str(Path(cfg.OUTPUT_DIR, "config.yaml")))
    second = run_setup(dumped, tmp_path, toy)
    assert str(path) == second.MODEL.GLOBAL.GUIDANCE.PROTOTYPES
    assert path.stat().st_mtime == 1, "found, not made again"

    # Inference asks for neither weights nor prototypes: the checkpoint has them.
    path.unlink()
    Path(cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS).unlink()
    third = run_setup(
        dumped, tmp_path, toy, "MODEL.WEIGHTS", str(tmp_path / "last.pth"), eval_only=True
    )
    build_model(third).load_state_dict(model.state_dict())


def test_runs_draw_the_same_numbers_whether_they_make_or_find_prototypes(cfg, tmp_path, toy):
    def first_numbers():
        run_setup(cfg, tmp_path, toy)
        return torch.rand(3)

    assert torch.equal(first_numbers(), first_numbers())


def test_other_processes_wait_and_make_nothing(cfg, monkeypatch):
    calls = []
    monkeypatch.setattr(preparation.comm, "is_main_process", lambda: False)
    monkeypatch.setattr(preparation.comm, "synchronize", lambda: calls.append("wait"))
    prepare(cfg)
    assert calls == ["wait"]
    assert cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES.endswith("prototypes_global.npz")
    assert not Path(cfg.OUTPUT_DIR, "prototypes_global.npz").exists()
