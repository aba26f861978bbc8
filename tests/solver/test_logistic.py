"""The linear fit: against plain gradient descent, by hand, and with classes or images missing."""

import math

import pytest
import torch

from co2s.solver import logistic
from co2s.solver.logistic import PENALTIES, Rows, fit_linear, mean_iou, objective


@pytest.fixture
def patches():
    """240 rows of 8 images, 5 features of unlike size that depend on each other, 3 classes."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(240, 5, generator=generator)
    features[:, 3] = features[:, 0] + 0.4 * features[:, 3]
    logits = features @ torch.randn(5, 3, generator=generator)
    targets = (3 * torch.randn(240, 3, generator=generator) + 2 * logits).softmax(dim=1)
    scale, shift = torch.tensor([1.0, 1e-3, 100.0, 1.0, 1.0]), torch.tensor([0, 5, 1e3, 0, -1.0])
    weights = torch.rand(240, generator=generator)
    return features * scale + shift, targets, weights, torch.arange(240) // 30


def only(monkeypatch, penalty):
    monkeypatch.setattr(logistic, "PENALTIES", (penalty,))


def standardised(features, weights):
    x, share = features.double(), (weights / weights.sum()).double()
    mean = share @ x
    deviation = (share @ (x - mean).square()).sqrt()
    return (x - mean) / deviation, deviation


def test_it_is_where_a_long_plain_gradient_descent_of_the_same_objective_ends(patches, monkeypatch):
    only(monkeypatch, 1e-2)
    features, targets, weights, _ = patches
    x, deviation = standardised(features, weights)
    weight, bias = torch.zeros(3, 5, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    share = (weights / weights.sum()).double()[:, None]
    for _ in range(1_500):
        error = share * ((x @ weight.T + bias).softmax(dim=1) - targets)
        weight = weight - 1.0 * (error.T @ x + 1e-2 * weight)
        bias = bias - 1.0 * error.sum(dim=0)
    found, found_bias = fit_linear(*patches)
    torch.testing.assert_close(found.double() * deviation, weight, atol=2e-3, rtol=0)
    logits = features.double() @ found.double().T + found_bias
    expected = x @ weight.T + bias
    # A number that all classes share changes no probability.
    torch.testing.assert_close(
        logits - logits.mean(1, keepdim=True),
        expected - expected.mean(1, keepdim=True),
        atol=1e-2,
        rtol=0,
    )


def test_the_objective_by_hand(monkeypatch):
    monkeypatch.setattr(logistic, "BIAS_PENALTY", 0.5)
    layer = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]])  # weights, and biases last
    rows = Rows(
        torch.tensor([[1.0, 0.0], [0.0, 3.0]]),
        torch.tensor([[1.0, 0.0], [0.25, 0.75]]),
        torch.tensor([1.0, 3.0]),
        torch.ones(2),
    )
    first = math.log(1 + math.exp(-3))  # logits 3 and 0
    second = 0.25 * math.log(1 + math.exp(2)) + 0.75 * math.log(1 + math.exp(-2))  # 1 and 3
    expected = (first + 3 * second) / 4 + 0.1 / 2 * (4 + 1) + 0.5 / 2 * 1
    assert objective(layer, rows, 0.1).item() == pytest.approx(expected)


def test_what_can_be_told_apart_is(monkeypatch):
    only(monkeypatch, 1e-5)
    features = torch.tensor([[0.0, 7.0], [1.0, 7.0], [10.0, 7.0], [11.0, 7.0]])  # one is constant
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    weight, bias = fit_linear(features, targets, torch.ones(4), torch.arange(4))
    probs = (features @ weight.T + bias).softmax(dim=1)
    assert (probs * targets).sum(dim=1).min() > 0.95
    middle = torch.tensor([5.5, 7.0]) @ weight.T + bias
    assert abs(middle[0] - middle[1]) < 1e-2
    assert weight[:, 1].abs().max() < 1e-3, "a constant feature tells nothing"


def test_a_class_that_never_occurs_is_never_said_and_stays_finite(patches):
    features, targets, weights, groups = patches
    more = torch.cat([targets, torch.zeros(240, 1)], dim=1)
    for for_iou in (False, True):
        weight, bias = fit_linear(features, more, weights, groups, for_iou=for_iou)
        probs = (features @ weight.T + bias).softmax(dim=1)
        assert weight.isfinite().all() and bias.isfinite().all()
        assert probs[:, 3].max() < 1e-3
        assert set(probs.argmax(dim=1).tolist()) == {0, 1, 2}


@pytest.mark.parametrize("images", [1, 2, 8])
def test_any_number_of_images_will_do(patches, images):
    keep = patches[3] < images
    weight, bias = fit_linear(*(part[keep] for part in patches))
    assert weight.shape == (3, 5) and weight.isfinite().all() and bias.isfinite().all()


def test_rows_that_do_not_count_change_nothing(patches):
    features, targets, weights, groups = patches
    some = (torch.arange(240) % 3 > 0).float()
    kept = some > 0
    one = fit_linear(features, targets, weights * some, groups)
    features[~kept] = torch.nan
    assert all(
        torch.equal(a, b)
        for a, b in zip(one, fit_linear(features, targets, weights * some, groups), strict=True)
    )
    two = fit_linear(*(part[kept] for part in patches))
    torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_the_penalty_is_the_one_that_suits_images_that_were_not_seen(monkeypatch):
    """The strongest for labels that are pure chance, a weak one for those that a feature tells."""
    generator = torch.Generator().manual_seed(0)
    features, groups = torch.randn(300, 20, generator=generator), torch.arange(300) // 30
    tried = []
    real = logistic._minimised

    def minimised(start, rows, penalty):
        tried.append(penalty)
        return real(start, rows, penalty)

    monkeypatch.setattr(logistic, "_minimised", minimised)
    chance = torch.randint(0, 2, (300,), generator=generator)
    used = []
    for label in (chance, (features[:, 0] > 0).long()):
        targets = torch.nn.functional.one_hot(label, 2).float()
        fit_linear(features, targets, torch.ones(300), groups)
        used.append(tried[-1])
    assert used[0] == PENALTIES[0] and used[1] <= 1e-3


def test_images_that_were_seen_choose_nothing(patches, monkeypatch):
    """Each layer is judged by the rows that it was not fitted to, and all rows judge once."""
    judged = []
    real = logistic.cross_entropy

    def cross_entropy(layer, rows):
        if not layer.requires_grad and layer.grad_fn is None:
            judged.append(rows.w > 0)
        return real(layer, rows)

    monkeypatch.setattr(logistic, "cross_entropy", cross_entropy)
    only(monkeypatch, 1e-2)
    fit_linear(*patches)
    assert torch.equal(torch.stack(judged).sum(dim=0), torch.ones(240).long())
    images = [set(patches[3][rows].tolist()) for rows in judged]
    assert images == [{0, 3, 6}, {1, 4, 7}, {2, 5}]


def test_the_shift_lowers_each_bias_by_the_log_of_its_share(monkeypatch):
    """One feature says little of a rare class, so that it never comes first on its own."""
    monkeypatch.setattr(logistic, "SHIFTS", (0.0, 0.5))
    generator = torch.Generator().manual_seed(0)
    rare = torch.rand(600, generator=generator) < 0.1
    features = torch.randn(600, 1, generator=generator) + 1.5 * rare[:, None]
    targets = torch.stack([~rare, rare], dim=1).float()
    groups, weights = torch.arange(600) // 60, torch.ones(600)
    weight, bias = fit_linear(features, targets, weights, groups)
    same, shifted = fit_linear(features, targets, weights, groups, for_iou=True)
    assert torch.equal(weight, same)
    expected = bias - 0.5 * targets.mean(dim=0).log()
    torch.testing.assert_close(shifted, expected)
    rows = Rows(features, targets, weights, torch.ones(1))
    before, after = (mean_iou(features @ weight.T + b, rows) for b in (bias, shifted))
    assert after > before
    monkeypatch.setattr(logistic, "SHIFTS", (0.0,))
    assert torch.equal(fit_linear(features, targets, weights, groups, for_iou=True)[1], bias)


def test_mean_iou_by_hand():
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    rows = Rows(torch.zeros(3, 1), targets, torch.tensor([1.0, 1.0, 2.0]), torch.ones(1))
    logits = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    # class 0: 1 of 1.5 found, 0.5 missed; class 1: 0.5, of 2.5 true and 1 said; 2 never occurs
    assert mean_iou(logits, rows) == pytest.approx((1 / 1.5 + 0.5 / 3) / 2)


def test_equal_data_give_an_equal_layer(patches):
    before = [part.clone() for part in patches]
    state = torch.get_rng_state()
    one, two = fit_linear(*patches), fit_linear(*patches)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, patches, strict=True)), "left as they are"
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f, w: w.zero_(), "not one labelled pixel"),
        (lambda f, w: f[3].fill_(torch.inf), "infinite or NaN"),
    ],
)
def test_what_cannot_be_fitted(patches, change, words):
    change(patches[0], patches[2])
    with pytest.raises(ValueError, match=words):
        fit_linear(*patches)
