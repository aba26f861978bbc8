"""projects/SemiEarth: its configurations build and take a step, its rows are rows."""

from pathlib import Path

import pytest
import torch

from co2s.d2 import EventStorage, build_model
from co2s.engine import load_cfg
from co2s.engine.runner import parse_entries
from co2s.model_zoo import get_config_file

PROJECT = Path(__file__).parents[2] / "projects" / "SemiEarth"
CONFIGS = sorted((PROJECT / "configs").glob("*.yaml"))
LISTS = sorted(PROJECT.glob("*.yaml"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_configuration_takes_a_step_with_purified_labels(file, random_batch):
    opts = ["MODEL.DEVICE", "cpu", "MODEL.LOCAL.BACKBONE.WEIGHTS", ""]
    opts += [] if "small" in file.stem else ["MODEL.LOCAL.BACKBONE.DEPTH", "12"]
    cfg = load_cfg(str(file), opts)
    node = cfg.MODEL.PURIFIER
    assert (node.UNSURE, node.REPLACE, node.SOFTMAX) == (0.7, 0.3, False)
    assert cfg.MODEL.EMA_DECAY in (0.99, 0.996) and cfg.MODEL.STUDENTS == ("local",)
    model = build_model(cfg).train()
    batch = random_batch(batch=1, size=cfg.INPUT.CROP_SIZE // 7 * 2, num_classes=6, views=1)
    (item,) = batch["unlabeled"]
    for part in (item, item["partner"]):
        part["grounding"] = torch.zeros(cfg.MODEL.NUM_CLASSES, *part["valid"].shape).byte()
        part["grounding"][2] = 242
    with EventStorage(0):
        losses = model(batch)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.students.parameters() if p.requires_grad)
    assert model.tally["replaced/local"].nonzero().flatten().tolist() in ([], [2])


@pytest.mark.parametrize("file", LISTS, ids=lambda file: file.stem)
def test_every_row_is_a_training(file):
    entries = parse_entries([f"@{file}"])
    purified = 0
    for entry in entries:
        assert entry.method in ("OnlySup", "Co2S", "FixMatch")
        opts = ["MODEL.META_ARCHITECTURE", entry.method, *entry.opts]
        cfg = load_cfg(get_config_file("quickstart.yaml"), opts)
        purified += cfg.MODEL.PURIFIER.NAME == "VLMPurifier" and bool(cfg.MODEL.PURIFIER.BOXES)
        from_labels = "from_labels" in cfg.MODEL.PURIFIER.BOXES
        assert from_labels == ("LABELS" in entry.title), "an upper bound says so"
    assert purified >= 2
