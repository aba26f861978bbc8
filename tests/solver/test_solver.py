"""Optimiser groups and the schedules."""

import math

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


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [("poly", lambda t: (1 - t) ** 0.9), ("cosine", lambda t: (1 + math.cos(math.pi * t)) / 2)],
)
def test_the_decay_reaches_zero_after_the_last_step(tiny_cfg, schedule, factor):
    assert tiny_cfg.SOLVER.SCHEDULE == "poly"
    tiny_cfg.SOLVER.SCHEDULE = schedule
    model = torch.nn.Linear(1, 1)
    optimizer = build_optimizer(tiny_cfg, model)
    scheduler = build_lr_scheduler(tiny_cfg, optimizer)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([1e-4 * factor(t / 10) for t in range(10)])
    assert optimizer.param_groups[0]["lr"] == 0


def test_unknown_schedule(tiny_cfg):
    tiny_cfg.SOLVER.SCHEDULE = "step"
    with pytest.raises(ValueError, match=r"SCHEDULE is 'step'; it may be poly or cosine\."):
        build_lr_scheduler(tiny_cfg, build_optimizer(tiny_cfg, torch.nn.Linear(1, 1)))


def test_normalisation_layers_may_decay_on_their_own(tiny_cfg):
    model = build_model(tiny_cfg)
    together = build_optimizer(tiny_cfg, model).param_groups
    assert {group["weight_decay"] for group in together} == {tiny_cfg.SOLVER.WEIGHT_DECAY}
    tiny_cfg.SOLVER.WEIGHT_DECAY_NORM = 0.0
    groups = build_optimizer(tiny_cfg, model).param_groups
    apart = {id(p) for group in groups if group["weight_decay"] == 0 for p in group["params"]}
    norms = {
        id(p)
        for module in model.modules()
        if isinstance(module, torch.nn.GroupNorm | torch.nn.LayerNorm)
        for p in module.parameters()
        if p.requires_grad
    }
    assert apart == norms and norms
    assert sum(len(g["params"]) for g in groups) == sum(len(g["params"]) for g in together)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("value", [1.0, 1.0, -1.0]), ("norm", [0.6, 0.8, -1.0]), ("full_model", [0.36, 0.48, -0.8])],
)
def test_gradients_are_clipped_before_the_step(tiny_cfg, kind, expected):
    tiny_cfg.SOLVER.CLIP_GRADIENTS.ENABLED = True
    tiny_cfg.SOLVER.CLIP_GRADIENTS.CLIP_TYPE = kind
    module = torch.nn.ParameterDict({"a": torch.zeros(2), "b": torch.zeros(1)})
    optimizer = build_optimizer(tiny_cfg, module)
    module["a"].grad, module["b"].grad = torch.tensor([6.0, 8.0]), torch.tensor([-40 / 3])
    optimizer.step()
    found = torch.cat([module["a"].grad, module["b"].grad])
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=0)


def test_unknown_clipping(tiny_cfg):
    tiny_cfg.SOLVER.CLIP_GRADIENTS.ENABLED = True
    tiny_cfg.SOLVER.CLIP_GRADIENTS.CLIP_TYPE = "all"
    with pytest.raises(ValueError, match="'all'; it may be value, norm, full_model"):
        build_optimizer(tiny_cfg, torch.nn.Linear(1, 1))


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
@pytest.mark.parametrize("method", ["linear", "constant"])
def test_warm_up_leads_to_the_decay(tiny_cfg, method, schedule):
    tiny_cfg.SOLVER.SCHEDULE = schedule
    tiny_cfg.SOLVER.MAX_ITER, tiny_cfg.SOLVER.WARMUP_ITERS = 10, 4
    tiny_cfg.SOLVER.WARMUP_FACTOR, tiny_cfg.SOLVER.WARMUP_METHOD = 0.1, method
    tiny_cfg.SOLVER.BASE_LR = 1.0
    optimizer = build_optimizer(tiny_cfg, torch.nn.Linear(1, 1))
    scheduler, rates = build_lr_scheduler(tiny_cfg, optimizer), []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    decay = [(1 - step / 10) ** 0.9 for step in range(10)]
    if schedule == "cosine":
        decay = [(1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)]
    assert rates[4:] == pytest.approx(decay[4:])
    slope = (decay[4] - 0.1) / 4 if method == "linear" else 0.0
    assert rates[:4] == pytest.approx([0.1 + slope * step for step in range(4)])


def test_warm_up_is_shorter_than_the_run(tiny_cfg):
    tiny_cfg.SOLVER.WARMUP_ITERS = 10
    with pytest.raises(ValueError, match=r"WARMUP_ITERS 10 must be fewer than SOLVER.MAX_ITER 10"):
        build_lr_scheduler(tiny_cfg, build_optimizer(tiny_cfg, torch.nn.Linear(1, 1)))
    tiny_cfg.SOLVER.WARMUP_ITERS, tiny_cfg.SOLVER.WARMUP_METHOD = 2, "sudden"
    with pytest.raises(ValueError, match="'sudden'; it may be linear or constant"):
        build_lr_scheduler(tiny_cfg, build_optimizer(tiny_cfg, torch.nn.Linear(1, 1)))
