"""Optimiser groups and the polynomial schedule."""

import pytest
import torch

from co2s.d2 import build_model
from co2s.solver import build_lr_scheduler, build_optimizer


def test_groups_rates_and_decay(tiny_cfg):
    model = build_model(tiny_cfg)
    optimizer = build_optimizer(tiny_cfg, model)
    groups = {g["role"]: g for g in optimizer.param_groups}
    assert {k: g["lr"] for k, g in groups.items()} == pytest.approx(
        {"backbone": 1e-6, "guidance": 1e-4, "head": 1e-3}
    )
    assert {g["weight_decay"] for g in groups.values()} == {0.01}
    grouped = [id(p) for g in groups.values() for p in g["params"]]
    trained = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trained)
    assert [id(p) for p in groups["guidance"]["params"]] == [
        id(model.students["local"].guidance.queries)
    ]


def test_poly_decay_reaches_zero_after_the_last_step(tiny_cfg):
    model = torch.nn.Linear(1, 1)
    optimizer = build_optimizer(tiny_cfg, model)
    scheduler = build_lr_scheduler(tiny_cfg, optimizer)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([1e-4 * (1 - t / 10) ** 0.9 for t in range(10)])
    assert optimizer.param_groups[0]["lr"] == 0
