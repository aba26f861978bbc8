"""Both sources of co2s.d2's names, and a toy model trained with either."""

import importlib
import itertools
import json
import logging
import os
import types

import pytest
import torch
from torch import nn

from co2s.d2 import NAMES, _installed

ABSENT = "detectron2 is not installed: there is nothing to compare the subset with"


def _lite():
    lite = importlib.import_module("co2s.d2.lite")
    return types.SimpleNamespace(**{name: getattr(lite, name) for name in NAMES}, is_lite=True)


def _detectron2():
    if not _installed():
        pytest.skip(ABSENT)
    names = {}
    for name, home in NAMES.items():
        module = importlib.import_module(home)
        names[name] = module if home.endswith("." + name) else getattr(module, name)
    return types.SimpleNamespace(**names, is_lite=False)


@pytest.fixture
def lite():
    return _lite()


@pytest.fixture
def real():
    return _detectron2()


@pytest.fixture(params=["lite", "detectron2"])
def d2(request):
    """Each in turn: what holds for detectron2 must hold for the subset."""
    return _lite() if request.param == "lite" else _detectron2()


@pytest.fixture
def log(caplog):
    """What is logged; a setup_logger elsewhere may have cut the loggers off from pytest."""
    loggers = [logging.getLogger(name) for name in ("detectron2", "fvcore")]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.propagate = True
    with caplog.at_level(logging.INFO):
        yield caplog
    for logger, propagate in zip(loggers, before, strict=True):
        logger.propagate = propagate


class ToyModel(nn.Module):
    """Two losses in training, one mean per image in evaluation."""

    def __init__(self, cfg=None):
        super().__init__()
        self.register_buffer("pixel_mean", torch.zeros(3, 1, 1))
        self.linear = nn.Linear(3, 2)

    def forward(self, batch):
        images = torch.stack([item["image"].float() for item in batch])
        out = self.linear(images.mean((2, 3)))
        if not self.training:
            return [
                {"mean": row, "size": tuple(i.shape[1:])}
                for row, i in zip(out, images, strict=True)
            ]
        return {"loss_fit": ((out - 1) ** 2).mean(), "loss_norm": 0.01 * (out**2).mean()}


@pytest.fixture
def toy_model():
    """A ToyModel with the same weights each time."""

    def build():
        torch.manual_seed(3)
        return ToyModel()

    return build


@pytest.fixture
def toy_data():
    """A function start -> endless stream of batches of two images `(3, 4, 5)`, one per step."""

    def stream(start=0):
        for step in itertools.count(start):
            generator = torch.Generator().manual_seed(step)
            yield [{"image": torch.rand(3, 4, 5, generator=generator)} for _ in range(2)]

    return stream


@pytest.fixture
def toy_cfg(d2):
    """A cfg of ToyModel on the CPU; the model is registered for the time of the test."""
    d2.META_ARCH_REGISTRY.register(ToyModel)
    cfg = d2.get_cfg()
    cfg.MODEL.META_ARCHITECTURE = "ToyModel"
    cfg.MODEL.DEVICE = "cpu"
    yield cfg
    del d2.META_ARCH_REGISTRY._obj_map["ToyModel"]


@pytest.fixture
def toy_training(toy_model, toy_data):
    """A function (names, folder, iterations) -> the trainer after a run with all hooks."""

    def train(d2, folder, iterations=12, resume=False, hooks=()):
        os.makedirs(folder, exist_ok=True)
        model = toy_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        trainer = d2.SimpleTrainer(model, toy_data(), optimizer)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: (1 - i / 100) ** 0.9)
        checkpointer = d2.DetectionCheckpointer(model, folder, trainer=trainer)
        trainer.register_hooks(
            [
                d2.hooks.IterationTimer(),
                d2.hooks.LRScheduler(optimizer, scheduler),
                None,
                d2.hooks.PeriodicCheckpointer(checkpointer, 5),
                d2.hooks.EvalHook(4, lambda: {"sem_seg": {"mIoU": float(trainer.iter)}}),
                d2.hooks.BestCheckpointer(4, checkpointer, "sem_seg/mIoU"),
                *hooks,
                d2.hooks.PeriodicWriter(d2.default_writers(folder, iterations), period=1),
            ]
        )
        start = 0
        if resume:
            checkpointer.resume_or_load("", resume=True)
            start = trainer.iter + 1
            trainer.data_loader = toy_data(start)
        trainer.train(start, iterations)
        return trainer

    return train


@pytest.fixture
def metrics_of():
    """A function folder -> {iteration: {name: value}} out of its metrics.json."""

    def read(folder):
        merged = {}
        with open(os.path.join(folder, "metrics.json")) as file:
            for line in file:
                entry = json.loads(line)
                merged.setdefault(entry.pop("iteration"), {}).update(entry)
        return merged

    return read
