"""Fixtures that all tests share: a tiny configuration and a random batch."""

import logging
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run in parallel, one core each
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may ask the network, or wait for it

import pytest
import torch

from co2s.config import get_co2s_cfg
from co2s.d2 import DatasetCatalog, MetadataCatalog
from co2s.data import catalog


@pytest.fixture
def tiny_cfg():
    """Two ViTs of 2 layers, 32 channels and patch 8, for 6 classes and crops of 32 pixels."""
    cfg = get_co2s_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.NUM_CLASSES = 6
    for student in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL):
        student.BACKBONE.FEATURES = [0, 0, 1]
        student.BACKBONE.WIDTH = 32
        student.BACKBONE.DEPTH = 2
        student.BACKBONE.HEADS = 2
        student.BACKBONE.PATCH_SIZE = 8
        student.HEAD.DIM = 32
        student.HEAD.UP_DIMS = (32, 16)
        student.HEAD.SKIP_DIMS = (8, 4)
        student.HEAD.DILATIONS = (1, 2, 3)
    cfg.MODEL.GLOBAL.BACKBONE.IMAGE_SIZE = 32
    cfg.MODEL.GLOBAL.BACKBONE.OUTPUT_DIM = 24
    cfg.INPUT.CROP_SIZE = 32
    cfg.SOLVER.MAX_ITER = 10
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.DATALOADER.NUM_WORKERS = 0
    return cfg


@pytest.fixture
def random_batch():
    """A function (batch, size, num_classes, seed) -> the training batch dict of `co2s.data`."""
    return make_batch


@pytest.fixture
def log(caplog, monkeypatch):
    """What co2s logs, also after some other test has set up a run's own log."""
    monkeypatch.setattr(logging.getLogger("co2s"), "propagate", True)
    caplog.set_level(logging.INFO, logger="co2s")
    return caplog


@pytest.fixture
def clean_catalog(monkeypatch):
    """What a test registers is gone after it."""
    before = set(DatasetCatalog.list())
    monkeypatch.setattr(catalog, "_ENTRIES", dict(catalog._ENTRIES))
    monkeypatch.setattr(catalog, "_OWNERS", dict(catalog._OWNERS))
    yield
    for name in set(DatasetCatalog.list()) - before:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def make_batch(batch: int = 2, size: int = 32, num_classes: int = 6, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)

    def draw(high, *shape):
        return torch.randint(0, high, shape, generator=generator)

    def view():
        return {
            "image": draw(256, 3, size, size).byte(),
            "strong": draw(256, 2, 3, size, size).byte(),
            "valid": draw(5, size, size) > 0,
            "cutmix": draw(2, 2, size, size).bool(),
        }

    labeled = [
        {"image": draw(256, 3, size, size).byte(), "sem_seg": draw(num_classes, size, size)}
        for _ in range(batch)
    ]
    labeled[0]["sem_seg"][:4] = 255
    unlabeled = [{**view(), "partner": view(), "seed": 100 * seed + i} for i in range(batch)]
    return {"labeled": labeled, "unlabeled": unlabeled}
