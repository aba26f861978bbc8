"""The example of docs/write_a_method.md is a method, as it stands on the page."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import torch

from co2s.config import defaults, get_co2s_cfg
from co2s.d2 import META_ARCH_REGISTRY, EventStorage, build_model
from tests.conftest import make_batch

PAGE = Path(__file__).parents[2] / "docs" / "write_a_method.md"
METHOD, SCRIPT = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The method of the page, registered; gone afterwards."""
    (tmp_path / "mean_teacher.py").write_text(METHOD)
    monkeypatch.setattr(defaults, "_METHODS", [*defaults._METHODS])
    monkeypatch.setattr(META_ARCH_REGISTRY, "_obj_map", dict(META_ARCH_REGISTRY._obj_map))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("mean_teacher")
    sys.modules.pop("mean_teacher")


def test_it_is_as_short_as_the_page_says():
    assert len(METHOD.splitlines()) < 80


def test_it_trains_and_its_average_has_no_gradient(written, tiny_cfg):
    cfg = get_co2s_cfg()
    cfg.merge_from_other_cfg(tiny_cfg)
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.EMA_DECAY = "MeanTeacher", 0.99
    model = build_model(cfg).train()
    with EventStorage(0):
        losses = model(make_batch(views=1))
    assert {name.rpartition("_")[0] for name in losses} == {"loss_sup", "loss_consistency"}
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert not (name.startswith("teachers.") and parameter.requires_grad), name
    before = [p.clone() for p in model.teachers.parameters()]
    with torch.no_grad():
        for parameter in model.students.parameters():
            parameter.add_(1.0)
    model.after_step(500)
    after = [*model.teachers.parameters()]
    assert all(torch.allclose(b, a + 0.01, atol=1e-4) for a, b in zip(before, after, strict=True))


def test_the_script_of_the_page_imports_what_there_is(written, tmp_path):
    (tmp_path / "own_train.py").write_text(SCRIPT)
    module = importlib.import_module("own_train")
    sys.modules.pop("own_train")
    assert callable(module.main)
