"""U2PL's contrast: who is compared, the loss and the queues, with numbers worked out by hand."""

import math

import pytest
import torch

from co2s.semi import (
    ClassQueues,
    anchors,
    centres,
    counting,
    default_ranks,
    info_nce,
    negatives,
    queues,
    sample,
)


def rng():
    return torch.Generator().manual_seed(0)


def bools(*rows):
    return torch.tensor(rows).bool()


def test_ranks_are_the_paper_s_for_21_classes_and_mean_something_for_few():
    assert default_ranks(21) == (3, 20)
    assert [default_ranks(n) for n in (2, 3, 6, 7, 15)] == [(1, 2), (2, 3), (2, 6), (2, 7), (2, 15)]
    for number in range(2, 40):
        low, high = default_ranks(number)
        assert 0 < low < high <= number, "some class is left to be surely not of"


def test_anchors_are_sure_pixels_of_their_class():
    probs = torch.tensor([[0.7, 0.3], [0.2, 0.8], [0.7, 0.3], [0.7, 0.3]])
    label, sure = torch.tensor([0, 0, 0, 1]), bools(1, 1, 0, 1)
    # The second is hardly of its class, the third not sure, the fourth no more than 0.3 of it.
    assert (
        anchors(probs, label, sure, 0.3).tolist() == bools([1, 0], [0, 0], [0, 0], [0, 0]).tolist()
    )


def test_negatives_by_rank():
    probs = torch.tensor([[0.5, 0.3, 0.15, 0.05]] * 3)
    label = torch.tensor([0, 1, 0])
    labeled, unsure = bools(0, 1, 0), bools(1, 0, 0)
    found = negatives(probs, label, labeled, unsure, 2, 3)
    # Unsure: of the class at rank 2. Labelled 1: of 0, the other of the two likely ones. The last
    # is neither.
    assert found.tolist() == bools([0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]).tolist()


def test_centres_are_means_of_members():
    features = torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]])
    found = centres(features, bools([1, 0], [1, 0], [0, 0]))
    assert found.tolist() == [[2.0, 1.0], [0.0, 0.0]]


def test_info_nce_by_hand():
    rows = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    positive = torch.tensor([3.0, 0.0])
    unlike = torch.tensor([[[0.0, 5.0], [-1.0, 0.0]], [[0.0, 2.0], [4.0, 0.0]]])
    # Cosines over 0.5: the first is at 2 from its positive, 0 and -2 from its negatives; the
    # second at 0, 2 and 0.
    first = -math.log(math.exp(2) / (math.exp(2) + 1 + math.exp(-2)))
    second = -math.log(1 / (1 + math.exp(2) + 1))
    assert info_nce(rows, positive, unlike, 0.5).item() == pytest.approx((first + second) / 2)
    assert info_nce(rows, positive, unlike[:, :0], 0.5).item() == pytest.approx(0.0, abs=1e-6)


def test_samples_are_of_the_mask_and_of_the_generator():
    mask = bools(0, 1, 0, 1)
    found = sample(mask, 50, rng())
    assert {*found.tolist()} == {1, 3} and torch.equal(found, sample(mask, 50, rng()))
    assert len(sample(~mask & mask, 50, rng())) == 0


def rows(*values):
    return torch.tensor([[float(v)] * 2 for v in values])


def test_a_queue_forgets_the_oldest_and_lets_in_a_quarter_a_step():
    memory = ClassQueues(2, 8, 2)
    for step in range(6):
        memory.observe(rows(*range(10 * step, 10 * step + 5)), bools(*[[1, 0]] * 5), rng())
        assert int(memory.pushed[0]) == 2 * step, "only after the step"
        memory.update()
    assert memory.pushed.tolist() == [12, 0]
    held = memory.features[0, :, 0] // 10
    assert sorted(held.tolist()) == [2, 2, 3, 3, 4, 4, 5, 5]
    assert memory.features[1].count_nonzero() == 0
    drawn = memory.draw(0, 100, rng())
    assert {*(drawn[:, 0] // 10).tolist()} == {2.0, 3.0, 4.0, 5.0}
    assert memory.draw(1, 100, rng()).shape == (0, 2)


def test_a_queue_takes_all_of_few_and_draws_only_what_is_there():
    memory = ClassQueues(1, 40, 2)
    memory.observe(rows(3, 4, 5), bools([1], [0], [1]), rng())
    memory.update()
    assert int(memory.pushed) == 2
    assert {*memory.draw(0, 50, rng())[:, 0].tolist()} == {3.0, 5.0}


def test_processes_hold_the_same_queue(monkeypatch):
    """Two processes as two parts of one: their features join in the order of the processes."""
    parts = [(rows(1, 2), bools([1], [1])), (rows(7, 8), bools([1], [1]))]
    alone = ClassQueues(1, 16, 2)
    for part in parts:
        alone.observe(*part, rng())
    alone.update()
    assert int(alone.pushed) == 4

    memories = [ClassQueues(1, 16, 2) for _ in parts]
    for memory, part in zip(memories, parts, strict=True):
        memory.observe(*part, rng())
    waiting = [memory.waiting[0] for memory in memories]

    class TwoProcesses:
        rank = 0

        is_available = is_initialized = staticmethod(lambda: True)
        get_world_size = staticmethod(lambda: 2)

        @classmethod
        def get_rank(cls):
            return cls.rank

        @classmethod
        def all_reduce(cls, x):
            other = 1 - cls.rank
            x[other] = torch.stack([waiting[other][0 if x.dim() == 5 else 1]])

    monkeypatch.setattr(queues, "dist", TwoProcesses)
    monkeypatch.setattr(counting, "dist", TwoProcesses)
    for rank, memory in enumerate(memories):
        TwoProcesses.rank = rank
        memory.update()
        assert torch.equal(memory.features, alone.features)
        assert torch.equal(memory.pushed, alone.pushed)
