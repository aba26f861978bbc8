"""The averaged teacher: its numbers by hand, its state, and that nothing flows back."""

import pytest
import torch
from torch import nn

from co2s.semi import EMA, ema_decay


def norm(value):
    """A module with a parameter, a floating-point buffer and a counter."""
    module = nn.BatchNorm1d(1)
    for tensor in (module.weight.data, module.running_mean):
        tensor.fill_(value)
    module.num_batches_tracked.fill_(int(value))
    return module


@pytest.mark.parametrize(("step", "decay"), [(0, 0.0), (1, 0.5), (3, 0.75), (9, 0.9), (99, 0.9)])
def test_decay_is_a_function_of_the_step(step, decay):
    assert ema_decay(step, 0.9) == pytest.approx(decay)


def test_parameters_and_buffers_are_averaged_and_counters_copied():
    teacher = EMA(norm(1.0), 0.9)
    teacher.update(norm(3.0), 3)  # decay 0.75
    assert teacher.module.weight.item() == pytest.approx(0.75 * 1 + 0.25 * 3)
    assert teacher.module.running_mean.item() == pytest.approx(1.5)
    assert teacher.module.num_batches_tracked == 3
    teacher.update(norm(7.0), 0)
    assert teacher.module.weight == 7, "the first step copies"


def test_no_gradient_and_always_in_evaluation_mode():
    student = norm(1.0)
    teacher = EMA(student).train()
    assert not teacher.module.training and not any(p.requires_grad for p in teacher.parameters())
    assert not teacher(torch.ones(2, 1, requires_grad=True)).requires_grad
    assert student.weight.requires_grad, "the student is left alone"


def test_the_state_goes_on():
    teacher = EMA(norm(1.0), 0.9)
    teacher.update(norm(3.0), 5)
    other = EMA(norm(0.0), 0.9)
    other.load_state_dict(teacher.state_dict())
    for one in (teacher, other):
        one.update(norm(-2.0), 6)
    assert torch.equal(teacher.module.weight, other.module.weight)
