"""Running a model over a data set and combining evaluators."""

from collections import OrderedDict

import pytest
import torch
from torch import nn


class Model(nn.Module):
    def forward(self, batch):
        assert not self.training
        assert not torch.is_grad_enabled()
        return [item["x"] * 2 for item in batch]


@pytest.fixture
def evaluator(d2):
    class Sum(d2.DatasetEvaluator):
        def __init__(self, name="sum"):
            self.name = name
            self.pairs = ["from before"]

        def reset(self):
            self.pairs = []

        def process(self, inputs, outputs):
            self.pairs += [(i["x"], o) for i, o in zip(inputs, outputs, strict=True)]

        def evaluate(self):
            return {
                self.name: {"x": sum(i for i, _ in self.pairs), "y": sum(o for _, o in self.pairs)}
            }

    return Sum


@pytest.fixture
def loader():
    return [[{"x": i}, {"x": i + 1}] for i in range(0, 8, 2)]


@pytest.mark.parametrize("training", [True, False])
def test_inference(d2, evaluator, loader, training):
    model = Model().train(training)
    assert d2.inference_on_dataset(model, loader, evaluator()) == {"sum": {"x": 28, "y": 56}}
    assert model.training is training


def test_several_evaluators(d2, evaluator, loader):
    results = d2.inference_on_dataset(Model(), loader, [evaluator("a"), evaluator("b")])
    assert list(results) == ["a", "b"]
    same = d2.DatasetEvaluators([evaluator("a"), evaluator("a")])
    with pytest.raises(AssertionError, match="a"):
        d2.inference_on_dataset(Model(), loader, same)


def test_no_evaluator(d2, loader):
    assert d2.inference_on_dataset(Model(), loader, None) == {}
    assert d2.inference_on_dataset(Model(), loader, d2.DatasetEvaluator()) == {}


def test_functions_and_callbacks(d2, evaluator, loader):
    calls = []
    names = ["on_start", "before_inference", "after_inference", "on_end"]
    callbacks = {name: lambda name=name: calls.append(name) for name in names}
    double = lambda batch: [item["x"] * 2 for item in batch]  # noqa: E731
    d2.inference_on_dataset(double, loader[:2], evaluator(), callbacks)
    step = ["before_inference", "after_inference"]
    assert calls == ["on_start", *step, *step, "on_end"]


def test_speed_is_logged(d2, evaluator, log):
    loader = [[{"x": 1}]] * 30
    d2.inference_on_dataset(Model(), loader, evaluator())
    assert "Start inference on 30 batches" in log.text
    assert "s / iter per device, on 1 devices)" in log.text
    assert "Total inference pure compute time" in log.text


def test_progress_is_logged(lite, log, monkeypatch):
    from co2s.d2.lite import logger

    monkeypatch.setattr(logger, "_LAST_LOGGED", {})
    lite.inference_on_dataset(Model(), [[{"x": 1}]] * 12, None)
    lines = [r.getMessage() for r in log.records if "Inference done" in r.getMessage()]
    assert len(lines) == 1  # at most one in five seconds
    assert lines[0].startswith("Inference done 11/12. Dataloading: 0.00")
    assert lines[0].endswith("ETA=0:00:00")


def test_inference_context(d2):
    model = nn.Linear(1, 1).train()
    with d2.inference_context(model):
        assert not model.training
    assert model.training


def test_inference_context_after_an_error(lite):
    model = nn.Linear(1, 1).train()
    with pytest.raises(KeyError), lite.inference_context(model):
        raise KeyError
    assert model.training


def test_print_csv_format(d2, log):
    results = OrderedDict(sem_seg={"mIoU": 75.1234567, "IoU-road": 3.0, "fwIoU": 80}, speed=3.5)
    d2.print_csv_format(results)
    assert [r.getMessage() for r in log.records] == [
        "copypaste: Task: sem_seg",
        "copypaste: mIoU,fwIoU",
        "copypaste: 75.1235,80.0000",
        "copypaste: speed=3.5",
    ]
