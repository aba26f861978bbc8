"""The weights that come with co2s: every name loads as it is into the students it was made for."""

import pytest
import torch
from safetensors import safe_open

from co2s.model_zoo import get_config
from co2s.modeling.backbone import build_backbone
from co2s.modeling.weights.embedded import FOLDER, embedded_file, embedded_names

STUDENTS = {"global": "CLIPViT", "local": "TimmViT"}


@pytest.fixture
def student_cfg(request):
    cfg = get_config("quickstart.yaml")
    return cfg.MODEL[request.param.upper()]


def test_every_file_is_found_under_a_name():
    found = {embedded_file(n, kind) for kind in STUDENTS.values() for n in embedded_names(kind)}
    assert found == {*FOLDER.iterdir()}
    assert all(path.stat().st_size < 4e6 for path in found)
    assert embedded_file("co2s-tiny", "BeitViT") is None
    assert embedded_file("openai", "CLIPViT") is None


@pytest.mark.parametrize("student_cfg", STUDENTS, indirect=True)
def test_a_student_of_the_quickstart_starts_from_its_file(student_cfg):
    assert student_cfg.BACKBONE.WEIGHTS == "co2s-tiny"
    backbone = build_backbone(student_cfg)
    path = embedded_file("co2s-tiny", student_cfg.BACKBONE.NAME)
    with safe_open(path, "pt") as file:
        stored = {name: file.get_tensor(name) for name in [*file.keys()]}
    loaded = backbone.to_file()
    assert loaded.keys() == stored.keys()
    for name, tensor in stored.items():
        assert tensor.dtype == torch.float16
        assert torch.equal(loaded[name], tensor.float()), name


def test_a_name_that_does_not_exist_lists_those_that_do(tiny_cfg):
    tiny_cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = "co2s-small"
    with pytest.raises(ValueError, match=r"There are no weights 'co2s-small' .*co2s-tiny"):
        build_backbone(tiny_cfg.MODEL.LOCAL)


def test_another_architecture_is_refused(tiny_cfg):
    tiny_cfg.MODEL.LOCAL.BACKBONE.WEIGHTS = "co2s-tiny"
    with pytest.raises(ValueError, match="do not fit"):
        build_backbone(tiny_cfg.MODEL.LOCAL)
