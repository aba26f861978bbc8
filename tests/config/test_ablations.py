"""Every ablation changes what it says, builds, and takes one training step."""

from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.config import get_co2s_cfg
from co2s.d2 import EventStorage, build_model
from co2s.modeling.guidance.text import name_prototypes, prepare_prototypes

FOLDER = Path(__file__).parents[2] / "projects" / "Co2S" / "configs" / "ablations"
# Backbone and guidance of the global student, then of the local one.
CLIP, DINOV3 = "ViT-B-16-quickgelu", "vit_base_patch16_dinov3_qkvb"
TEXT, QUERIES, NONE = "TextPrototypes", "LearnableQueries", "NoGuidance"
ABLATIONS = {
    "clip_clip": (CLIP, TEXT, CLIP, QUERIES),
    "dinov3_dinov3": (DINOV3, QUERIES, DINOV3, QUERIES),
    "queries_for_both": (CLIP, QUERIES, DINOV3, QUERIES),
    "text_for_both": (CLIP, TEXT, DINOV3, TEXT),
    "swapped_guidance": (CLIP, QUERIES, DINOV3, TEXT),
    "deeplab_head": (CLIP, NONE, DINOV3, NONE),
    "local_dinov2": (CLIP, TEXT, "vit_base_patch14_dinov2", QUERIES),
    "local_mae": (CLIP, TEXT, "vit_base_patch16_224", QUERIES),
    "local_ibot": (CLIP, TEXT, "vit_base_patch16_224", QUERIES),
    "local_beitv2": (CLIP, TEXT, "beitv2_base_patch16_224", QUERIES),
    "local_simmim": (CLIP, TEXT, "beitv2_base_patch16_224", QUERIES),
    "no_stability_loss": (CLIP, TEXT, DINOV3, QUERIES),
    "no_feature_perturbation": (CLIP, TEXT, DINOV3, QUERIES),
}


def load(name):
    cfg = get_co2s_cfg()
    cfg.merge_from_file(str(FOLDER / f"{name}.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    return cfg


def shrink(cfg):
    """The same architectures, small and without pretrained files; patch sizes are kept."""
    for student in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL):
        backbone, guidance, head = student.BACKBONE, student.GUIDANCE, student.HEAD
        backbone.WEIGHTS = backbone.SHA256 = guidance.PROTOTYPES = guidance.TEXT_WEIGHTS = ""
        backbone.FEATURES = [0, 0, 1]
        backbone.WIDTH, backbone.DEPTH, backbone.HEADS = 32, 2, 2
        backbone.IMAGE_SIZE = 28 if "patch14" in backbone.MODEL else 32
        backbone.OUTPUT_DIM = 24 if backbone.NAME == "CLIPViT" else 0
        head.DIM, head.UP_DIMS, head.SKIP_DIMS, head.DILATIONS = 32, (32, 16), (8, 4), (1, 2, 3)
    cfg.MODEL.CO2S.THRESHOLD = 0.0
    return cfg


def test_all_ablations_are_known_here():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*ABLATIONS}
    assert all(len(path.read_text().splitlines()) <= 15 for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_is_what_its_name_says(name):
    cfg = load(name)
    students = cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL
    found = [part for s in students for part in (s.BACKBONE.MODEL, s.GUIDANCE.NAME)]
    assert tuple(found) == ABLATIONS[name]
    head = "DeepLabV3PlusHead" if name == "deeplab_head" else "GuidedMaskHead"
    assert [s.HEAD.NAME for s in students] == [head, head]
    weights = (cfg.MODEL.CO2S.STABILITY_WEIGHT, cfg.MODEL.CO2S.FEATURE_WEIGHT)
    assert weights == (
        0.5 * (name != "no_stability_loss"),
        0.5 * (name != "no_feature_perturbation"),
    )
    assert cfg.INPUT.CROP_SIZE == 256
    assert Path(cfg.OUTPUT_DIR) == Path("output/ablations", name)
    text = (FOLDER / f"{name}.yaml").read_text()
    assert f"--config-file projects/Co2S/configs/ablations/{name}.yaml" in text


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_takes_one_training_step(name, random_batch):
    torch.manual_seed(0)
    model = build_model(shrink(load(name))).train()
    assert [type(s.backbone).__name__ for s in model.students.values()] == [
        student.BACKBONE.NAME for student in (load(name).MODEL.GLOBAL, load(name).MODEL.LOCAL)
    ]
    with EventStorage(5):
        losses = model(random_batch(size=32))
    sum(losses.values()).backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert any(".backbone." in n for n in trained) and any(".head." in n for n in trained)
    for parameter_name, parameter in trained.items():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        # The last bias is one number for all classes, which softmax cannot see.
        zero = parameter_name.endswith("head.predict.bias") and name != "deeplab_head"
        assert zero or parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", ["clip_clip", "dinov3_dinov3"])
def test_students_of_a_homogeneous_pair_share_nothing(name):
    model = build_model(shrink(load(name)))
    parameters = [dict(s.named_parameters()) for s in model.students.values()]
    tensors = [{p.data_ptr() for p in s.state_dict().values()} for s in model.students.values()]
    assert not tensors[0] & tensors[1]
    decoders = [{n: p for n, p in s.items() if n.startswith("head.")} for s in parameters]
    assert decoders[0].keys() == decoders[1].keys()
    for key, weight in decoders[0].items():
        if weight.dim() > 1:
            assert not torch.equal(weight, decoders[1][key]), key


@pytest.mark.parametrize("name", ["text_for_both", "swapped_guidance"])
def test_prototypes_of_another_dimension_name_both(name, tmp_path):
    cfg = shrink(load(name))
    np.save(tmp_path / "text.npy", np.ones((6, 24), np.float32))
    cfg.MODEL.LOCAL.GUIDANCE.PROTOTYPES = str(tmp_path / "text.npy")
    with pytest.raises(ValueError, match=r"\(6, 24\).*32 channels.*\(6, 32\)"):
        build_model(cfg)


@pytest.mark.parametrize("name", ["text_for_both", "swapped_guidance"])
def test_a_text_encoder_of_another_dimension_names_both_and_the_way_out(name, tmp_path):
    cfg = load(name)
    cfg.OUTPUT_DIR = str(tmp_path)
    cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = ""
    cfg.MODEL.LOCAL.GUIDANCE.TEXT_MODEL = "ViT-B-16-quickgelu"
    words = r"MODEL\.LOCAL.*512 dimensions.*768 channels.*GUIDANCE\.TEXT_MODEL.*ViT-L-14"
    name_prototypes(cfg)
    with pytest.raises(ValueError, match=words):
        prepare_prototypes(cfg)
    assert not [*tmp_path.iterdir()]
