"""The exported graph against the model's own inference, and what is chosen of a model."""

import pytest
import torch

from co2s.inference.export.facts import facts_of
from co2s.inference.export.graph import Graph, tempered
from co2s.inference.export.selection import build, scale_of, select
from co2s.modeling.temperature import tempered as as_trained

from .exports import CARRIED, grown, images


def change(cfg, **values):
    for key, value in values.items():
        cfg.merge_from_list([key.replace("__", "."), value])
    return cfg


@torch.no_grad()
@pytest.mark.parametrize("student", ["fused", "global", "local"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"MODEL__FUSION": "mean", "INPUT__TEST_SCALE": 1.5},
        {"MODEL__FUSION": "local", "MODEL__EMA_DECAY": 0.9},
        {"MODEL__NUM_BANDS": 4, "INPUT__TEST_SCALE": 0.75},
    ],
)
def test_graph_is_the_model(tiny_cfg, values, student):
    cfg = change(tiny_cfg, TEST__WINDOW_SIZE=64, **values)
    model = grown(cfg)
    selection = select(cfg, model, student)
    graph = Graph(selection.model, 32, scale_of(cfg, CARRIED)).eval()
    x = images(bands=model.num_bands)
    key = "sem_seg" if student == "fused" else f"sem_seg_{student}"
    expected = torch.stack([model.inference([{"image": image}])[0][key] for image in x])
    found = graph(x.float() / 255)
    assert torch.allclose(found, expected, atol=1e-5)
    assert len(found.argmax(dim=1).unique()) > 1, "a map of one class proves little"


def test_the_base_size_counts_as_for_images_of_the_training(tiny_cfg):
    cfg = change(tiny_cfg, INPUT__TEST_BASE_SIZE=(128, 72), INPUT__TEST_SCALE=3.0)
    assert scale_of(cfg, CARRIED) == 72 / 48
    selection = select(cfg, grown(cfg))
    assert facts_of(cfg, CARRIED, selection, 0).tile == round(32 / 1.5)


def test_averages_predict_and_not_their_students(tiny_cfg):
    cfg = change(tiny_cfg, MODEL__EMA_DECAY=0.9)
    model = grown(cfg)
    chosen = select(cfg, model).model
    own, teacher, student = (
        m["local"].head.predict.weight
        for m in (
            chosen.students,
            {"local": model.teachers["local"].module},
            model.students,
        )
    )
    assert torch.equal(own, teacher) and not torch.equal(own, student)
    assert not chosen.teachers


def test_no_path_of_this_machine_travels(tiny_cfg):
    cfg = tiny_cfg
    model = grown(cfg)
    cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = "/home/someone/secret.pth"
    cfg.MODEL.GLOBAL.GUIDANCE.TEXT_WEIGHTS = "/home/someone/tower.pt"
    cfg.DATASETS.ROOT = cfg.OUTPUT_DIR = "/home/someone"
    selection = select(cfg, model)
    assert "someone" not in str(selection.options)
    facts = facts_of(cfg, CARRIED, selection, 0)
    assert facts.pretrained == {"global": "", "local": "secret.pth"}


def test_the_options_build_the_same_network(tiny_cfg):
    tiny_cfg.MODEL.LOCAL.BACKBONE.LAYER_NORM_EPS = 1e-3
    tiny_cfg.MODEL.GLOBAL.BACKBONE.ACTIVATION = "gelu"
    model = grown(tiny_cfg)
    again = build(select(tiny_cfg, model).options)[1]
    assert again.load_state_dict(model.state_dict())
    x = images().float()
    for name, student in model.students.items():
        assert torch.equal(student(x), again.students[name](x))


def test_an_unknown_student_is_refused(tiny_cfg):
    with pytest.raises(ValueError, match="--student third: the model has global, local, and fused"):
        select(tiny_cfg, grown(tiny_cfg), "third")


@pytest.mark.parametrize("temperature", [0.3, 1.7])
def test_temperatures_are_the_model_s(temperature):
    probs = torch.randn(2, 5, 16, 16).mul(3).softmax(dim=1)
    expected = torch.stack([as_trained(p, temperature) for p in probs])
    assert torch.allclose(tempered(probs, temperature), expected, atol=1e-6)


def test_a_temperature_changes_no_pixel_s_class():
    # So near that a power makes them equal: then the first one would win.
    probs = torch.tensor([0.33333332, 0.33333334, 0.33333334]).view(1, 3, 1, 1).repeat(1, 1, 4, 4)
    assert (probs.argmax(dim=1) == 1).all()
    for temperature in (0.5, 2.0, 50.0):
        assert torch.equal(tempered(probs, temperature).argmax(dim=1), probs.argmax(dim=1))
