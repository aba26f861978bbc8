"""Scoring: a model on datasets, as numbers and pictures."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import nn

from co2s.d2 import CfgNode, DatasetEvaluators, inference_on_dataset
from co2s.data import build_test_loader
from co2s.evaluation import PanelWriter, SegmentationEvaluator


def score(
    cfg: CfgNode, model: nn.Module, datasets: Sequence[str], *, panels: int = 0
) -> "OrderedDict[str, Any]":
    """Score the model on datasets, each image exactly once over all processes.

    Writes <OUTPUT_DIR>/inference/<dataset>/scores.json, and panels of that many images. Returns
    {"fused": {"mIoU": ...}, "global": ..., "local": ...}, by dataset where there are several.
    Empty on every process but the first.
    """
    results: OrderedDict[str, Any] = OrderedDict()
    for name in datasets:
        folder = os.path.join(cfg.OUTPUT_DIR, "inference", name)
        loader = build_test_loader(cfg, name)
        evaluators: list[Any] = [
            SegmentationEvaluator(name, folder, absent_as_zero=cfg.TEST.ABSENT_AS_ZERO)
        ]
        if panels:
            evaluators.append(PanelWriter(name, folder, count=panels))
        results[name] = inference_on_dataset(model, loader, DatasetEvaluators(evaluators)) or {}
    return next(iter(results.values())) if len(results) == 1 else results
