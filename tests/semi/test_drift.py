"""Counts of pseudo-labels, and the shares that follow, by hand."""

import pytest
import torch

from co2s.semi import count_labels, count_purified, drift_scalars
from co2s.structures import PseudoLabel

CLASSES = ("water", "road", "tree")
LABELED = torch.tensor([[[0, 0, 1, 1, 2]]])
VALID = torch.tensor([[[True, True, True, True, False]]])


def labels(confidence, label=LABELED):
    return PseudoLabel(label, torch.tensor([[confidence]]), VALID)


def one():
    return labels([0.99, 0.5, 0.97, 0.98, 0.99])


def two():
    return labels([0.99, 0.99, 0.2, 0.2, 0.99], torch.tensor([[[0, 1, 1, 2, 2]]]))


def test_counts_by_hand():
    truth = torch.tensor([[[0, 0, 255, 0, 2]]])
    counts = count_labels({"a": one(), "b": two()}, {"a": 0.95, "b": 0.95}, 3, truth)
    assert {name: value.tolist() for name, value in counts.items()} == {
        "labeled/a": [2, 2, 0],
        "kept/a": [1, 2, 0],
        "known/a": [1, 1, 0],
        "right/a": [1, 0, 0],
        "labeled/b": [1, 2, 1],
        "kept/b": [1, 1, 0],
        "known/b": [1, 1, 0],
        "right/b": [1, 0, 0],
        "agree": [1, 1, 0],
    }
    alone = count_labels({"a": one()}, {"a": 0.95}, 3)
    assert alone.keys() == {"labeled/a", "kept/a"}
    assert all(value.dtype == torch.int64 for value in counts.values())


def test_thresholds_of_classes_count():
    counts = count_labels({"a": one()}, {"a": torch.tensor([0.4, 0.98, 0.0])}, 3)
    assert counts["kept/a"].tolist() == [2, 1, 0]


def test_shares_by_hand():
    counts = count_labels({"a": one(), "b": two()}, {"a": 0.95, "b": 0.95}, 3)
    counts |= {"truth": torch.tensor([30, 10, 0]), "teaches/a": torch.tensor(3)}
    found = drift_scalars(counts, CLASSES)
    expected = {
        "coverage/a": 3 / 4, "coverage/a/water": 1 / 2, "coverage/a/road": 1.0,
        "pseudo_share/a/water": 1 / 3, "pseudo_share/a/road": 2 / 3, "pseudo_share/a/tree": 0.0,
        "teaches/a": 3 / 4,
        "coverage/b": 2 / 4, "coverage/b/water": 1.0, "coverage/b/road": 1 / 2,
        "coverage/b/tree": 0.0,
        "pseudo_share/b/water": 1 / 2, "pseudo_share/b/road": 1 / 2, "pseudo_share/b/tree": 0.0,
        "agreement": 2 / 4, "agreement/water": 1 / 2, "agreement/road": 1 / 3,
        "agreement/tree": 0.0,
        "label_share/water": 3 / 4, "label_share/road": 1 / 4, "label_share/tree": 0.0,
    }  # fmt: skip
    assert found == pytest.approx(expected), "and what is a share of nothing is left out"


def test_precision_is_of_what_is_known():
    truth = torch.tensor([[[0, 0, 255, 0, 2]]])
    found = drift_scalars(count_labels({"a": one()}, {"a": 0.95}, 3, truth), CLASSES)
    assert found["precision/a"] == 1 / 2
    assert (found["precision/a/water"], found["precision/a/road"]) == (1.0, 0.0)
    assert "precision/a/tree" not in found
    unknown = torch.full_like(truth, 255)
    found = drift_scalars(count_labels({"a": one()}, {"a": 0.95}, 3, unknown), CLASSES)
    assert not any(name.startswith("precision") for name in found)


def test_counts_of_several_steps_and_processes_add_up():
    first = count_labels({"a": one(), "b": two()}, {"a": 0.95, "b": 0.95}, 3)
    second = count_labels({"a": two(), "b": two()}, {"a": 0.1, "b": 0.95}, 3)
    both = {name: first[name] + second[name] for name in first}
    joined = {
        name: PseudoLabel(*(torch.cat([getattr(p, f) for p in parts]) for f in
                            ("label", "confidence", "valid")))
        for name, parts in {"a": (one(), two()), "b": (two(), two())}.items()
    }  # fmt: skip
    whole = count_labels(joined, {"a": 0.0, "b": 0.95}, 3)
    assert drift_scalars(both, CLASSES)["agreement"] == drift_scalars(whole, CLASSES)["agreement"]


def test_three_students_are_three_pairs():
    found = drift_scalars(
        count_labels({"a": one(), "b": one(), "c": two()}, dict.fromkeys("abc", 0.9), 3), CLASSES
    )
    assert found["agreement"] == pytest.approx((4 + 2 + 2) / 12)
    # water: a and b on 2 of 2, a and c, b and c on 1 of 2 each
    assert found["agreement/water"] == pytest.approx(4 / 6)


def test_nothing_valid_is_no_share():
    nothing = PseudoLabel(LABELED, torch.ones(1, 1, 5), torch.zeros_like(VALID))
    assert drift_scalars(count_labels({"a": nothing}, {"a": 0.9}, 3), CLASSES) == {}


def test_what_a_purifier_changed_by_hand():
    truth = torch.tensor([[[0, 0, 255, 0, 2]]])
    after = labels([0.99, 0.97, 0.5, 0.98, 0.99], torch.tensor([[[2, 0, 1, 0, 0]]]))
    counts = count_labels({"a": after}, {"a": 0.95}, 3, truth)
    counts |= count_purified({"a": one()}, {"a": after}, {"a": 0.95}, 3, truth)
    assert {name: value.tolist() for name, value in counts.items()} == {
        "labeled/a": [2, 1, 1],
        "kept/a": [2, 0, 1],
        "known/a": [2, 0, 1],
        "right/a": [2, 0, 0],
        "labeled_before/a": [2, 2, 0],
        "kept_before/a": [1, 2, 0],
        "known_before/a": [1, 1, 0],
        "right_before/a": [1, 0, 0],
        "replaced/a": [1, 0, 1],
    }
    found = drift_scalars(counts, CLASSES)
    assert (found["coverage_before/a"], found["coverage/a"]) == (3 / 4, 3 / 4)
    assert (found["precision_before/a"], found["precision/a"]) == (1 / 2, 2 / 3)
    assert found["replaced/a"] == 2 / 4
    assert (found["coverage_before/a/water"], found["coverage/a/water"]) == (1 / 2, 1.0)
    assert found["precision_before/a/road"] == 0.0 and "precision/a/road" not in found
