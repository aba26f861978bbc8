"""Thresholds of every class: both rules by hand, their averages, and where they are used."""

import pytest
import torch

from co2s.d2 import EventStorage, build_model
from co2s.semi import build_thresholds, pixels_by_class, thresholds
from co2s.semi.thresholds import flexmatch_thresholds, freematch_thresholds
from co2s.structures import PseudoLabel


def pseudo(label, confidence, valid=None):
    valid = [True] * len(label) if valid is None else valid
    return PseudoLabel(*(torch.tensor([[row]]) for row in (label, confidence, valid)))


def logits(*probabilities):
    """(1, N, 1, W) whose softmax is the given list of distributions."""
    return torch.tensor(probabilities).log().T[None, :, None, :]


def test_flexmatch_by_hand():
    # All pixels are used: beta = (1, 1/2, 0), and x / (2 - x) of it is (1, 1/3, 0).
    shares = torch.tensor([2 / 3, 1 / 3, 0.0])
    torch.testing.assert_close(
        flexmatch_thresholds(shares, 0.9), torch.tensor([0.9, 0.3, 0.0]), atol=1e-6, rtol=0
    )
    # Half of them are not yet: the largest share is 0.3, the unused one 0.5.
    shares = torch.tensor([0.3, 0.2, 0.0])
    expected = torch.tensor([0.9 * 0.6 / 1.4, 0.9 * 0.4 / 1.6, 0.0])
    torch.testing.assert_close(flexmatch_thresholds(shares, 0.9), expected)
    assert flexmatch_thresholds(torch.zeros(3), 0.9).tolist() == [0, 0, 0]


def test_freematch_by_hand():
    found = freematch_thresholds(torch.tensor(0.8), torch.tensor([0.5, 0.3, 0.2]))
    torch.testing.assert_close(found, torch.tensor([0.8, 0.48, 0.32]))


def test_flexmatch_averages_the_shares_of_kept_pixels():
    found = build_thresholds("flexmatch", 3, 0.9)
    assert found.values().tolist() == [0, 0, 0]
    labels = pseudo([0, 0, 1, 2, 1], [0.95, 0.9, 0.99, 0.5, 0.99], [True] * 4 + [False])
    found.observe(labels, torch.zeros(1, 3, 1, 5))
    assert found.average.tolist() == [0, 0, 0], "a step uses what the steps before have made"
    found.update()
    torch.testing.assert_close(found.average, 0.001 * torch.tensor([0.5, 0.25, 0.0]))
    found.update()  # nothing was seen
    torch.testing.assert_close(found.average, 0.001 * torch.tensor([0.5, 0.25, 0.0]))
    found.observe(labels, torch.zeros(1, 3, 1, 5))
    found.update()
    torch.testing.assert_close(found.average, 0.001999 * torch.tensor([0.5, 0.25, 0.0]))


def test_freematch_averages_confidence_and_predictions():
    found = build_thresholds("freematch", 2, 0.9)
    torch.testing.assert_close(found.values(), torch.tensor([0.5, 0.5]))
    seen = logits([0.6, 0.4], [0.9, 0.1], [0.2, 0.8])
    labels = PseudoLabel.from_logits(seen, torch.tensor([[[True, True, False]]]))
    found.observe(labels, seen)
    found.update()
    expected = 0.999 * 0.5 + 0.001 * torch.tensor([0.75, 0.75, 0.25])
    torch.testing.assert_close(found.average, expected)
    tau, one, two = expected
    torch.testing.assert_close(found.values(), torch.stack([tau, tau * two / one]))


def test_balanced_thresholds_keep_the_same_share_of_every_class():
    found = build_thresholds("balanced", 3, 0.9)
    assert found.values().tolist() == pytest.approx([0.9] * 3)
    sure = [0.91, 0.93, 0.95, 0.97, 0.99, 0.85]
    unsure = [0.5, 0.6, 0.7, 0.92]
    labels = pseudo([0] * 6 + [1] * 4 + [1], [*sure, *unsure, 0.99], [True] * 10 + [False])
    found.observe(labels, torch.zeros(1, 3, 1, 11))
    found.update()
    # 6 of 10 pixels reach 0.9: 4 of 6 of class 0 and 3 of 4 of class 1 are enough.
    first, second, third = found.values().tolist()
    assert (first, second, third) == pytest.approx((0.93, 0.6, 0.9), abs=0.01)
    assert first <= 0.93 and second <= 0.6, "the pixels at the threshold count"
    kept = labels.kept(found.values()).flatten().tolist()
    assert kept == [False, *4 * [True], False, False, *3 * [True], False]
    for _ in range(3):
        found.observe(pseudo([0] * 8, [0.5] * 8), torch.zeros(1, 3, 1, 8))
        found.update()
    # The steps count alike, and in these nothing reaches 0.9: 0.15 over all four. Of class 0 that
    # is 0.15 * (0.6 + 3) of a step's pixels, so 5.4 tenths of the first step's.
    assert found.values()[0] == pytest.approx(0.85, abs=0.01)


def test_balanced_thresholds_of_a_network_that_is_sure_of_nothing_keep_nothing():
    found = build_thresholds("balanced", 2, 0.9)
    labels = pseudo([0, 1], [0.6, 0.7])
    found.observe(labels, torch.zeros(1, 2, 1, 2))
    found.update()
    assert not labels.kept(found.values()).any()


def test_the_memory_can_be_shorter(tiny_cfg):
    node = tiny_cfg.MODEL.CO2S
    node.CLASS_THRESHOLDS, node.CLASS_DECAY = "flexmatch", 0.75
    found = build_model(tiny_cfg).thresholds["local"].anew()
    labels = pseudo([0, 1], [0.99, 0.5])
    for expected in (0.125, 0.21875):  # half of the pixels are of class 0 and reach tau
        found.observe(labels, torch.zeros(1, 6, 1, 2))
        found.update()
        assert found.average.tolist() == [expected] + [0] * 5
    with pytest.raises(ValueError, match=r"CLASS_DECAY is 1\.0.* 1 - 1 / N remembers N steps"):
        build_thresholds("freematch", 3, 0.95, 1.0)


@pytest.mark.parametrize("kind", ["flexmatch", "freematch", "balanced"])
def test_a_step_in_parts_or_on_two_processes_is_the_same_step(kind, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    seen = 3 * torch.randn(2, 4, 6, 6, generator=generator)
    valid = torch.rand(2, 6, 6, generator=generator) > 0.3
    labels = PseudoLabel.from_logits(seen, valid)

    def half(i):
        part = slice(i, i + 1)
        return PseudoLabel.from_logits(seen[part], valid[part]), seen[part]

    whole, parts, here, there = (build_thresholds(kind, 4, 0.5) for _ in range(4))
    whole.observe(labels, seen)
    whole.update()
    for i in (0, 1):
        parts.observe(*half(i))
    parts.update()
    torch.testing.assert_close(whole.average, parts.average)
    assert not torch.equal(whole.average, build_thresholds(kind, 4, 0.5).average)
    here.observe(*half(0))
    there.observe(*half(1))
    other = there.seen.clone()
    monkeypatch.setattr(thresholds, "sum_over_processes", lambda own: own + other)
    here.update()
    torch.testing.assert_close(whole.average, here.average)


def test_one_number_for_all_keeps_no_state():
    found = build_thresholds("fixed", 3, 0.95)
    found.observe(pseudo([0], [0.99]), torch.zeros(1, 3, 1, 1))
    found.update()
    assert found.values() == 0.95 and not found.state_dict()
    with pytest.raises(ValueError, match=r"'free'; it may be fixed, flexmatch, freematch, bal"):
        build_thresholds("free", 3, 0.95)


def test_pixels_are_counted_by_class():
    label = torch.tensor([[[0, 2, 2, 255, 1]]])
    mask = torch.tensor([[[True, True, True, False, False]]])
    assert pixels_by_class(label, mask, 4).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("name", ["Co2S", "FixMatch", "UniMatch"])
def test_a_method_keeps_pixels_by_their_class(tiny_cfg, random_batch, name):
    """Thresholds that only one class can reach: of the others nothing is learned."""
    tiny_cfg.MODEL.META_ARCHITECTURE = name
    node = tiny_cfg.MODEL[name.upper()]
    node.CLASS_THRESHOLDS, node.THRESHOLD = "freematch", 0.1
    torch.manual_seed(0)
    model = build_model(tiny_cfg).train()
    batch = random_batch(views=1 if name == "FixMatch" else 2)
    wanted = torch.zeros(6)
    for threshold in model.thresholds.values():
        threshold.values = lambda: 2 * (torch.arange(6) != wanted.argmax())  # 2: out of reach
    kept = {}
    for chosen in (0, 3):
        wanted = torch.zeros(6)
        wanted[chosen] = 1
        model.tally = {}
        with EventStorage(5):
            model(batch)
        kept[chosen] = model.tally["kept/local"]
        labeled = model.tally["labeled/local"]
        assert kept[chosen].nonzero().flatten().tolist() in ([], [chosen])
        assert kept[chosen][chosen] == labeled[chosen]


def test_adaptive_thresholds_are_of_the_checkpoint_and_start_anew_without(tiny_cfg):
    plain = build_model(tiny_cfg)
    tiny_cfg.MODEL.CO2S.CLASS_THRESHOLDS = "flexmatch"
    model = build_model(tiny_cfg)
    assert not any(key.startswith("thresholds") for key in plain.state_dict())
    model.thresholds["local"].average.fill_(0.25)
    state = model.state_dict()
    other = build_model(tiny_cfg)
    other.load_state_dict(state)
    assert other.thresholds["local"].average.tolist() == [0.25] * 6
    other.load_state_dict(plain.state_dict())
    assert other.thresholds["local"].average.tolist() == [0.0] * 6
    with pytest.raises(ValueError, match="`thresholds` another CLASS_THRESHOLDS"):
        plain.load_state_dict(state)
