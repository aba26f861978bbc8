"""Boundary F1 against numbers counted by hand."""

import numpy as np
import pytest

from co2s.evaluation.boundary import boundaries, boundary_counts, boundary_scores

# Two classes side by side, and what is predicted: the border is one column to the right.
TRUTH = np.array([[0, 0, 0, 1, 1, 1]] * 3)
SHIFTED = np.array([[0, 0, 0, 0, 1, 1]] * 3)


def test_a_boundary_has_a_neighbour_of_another_class() -> None:
    labels = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 2]])
    expected = [[-1, 0, -1], [0, 1, 0], [-1, 0, 0], [-1, 0, 2]]  # corners do not touch
    assert boundaries(labels, np.ones_like(labels, bool)).tolist() == expected


def test_the_border_of_the_image_is_none() -> None:
    labels = np.full((3, 4), 5)
    assert (boundaries(labels, np.ones_like(labels, bool)) == -1).all()


def test_a_border_against_ignored_pixels_is_none() -> None:
    truth = np.array([[0, 0, 255, 1, 1, 2]])
    counts = boundary_counts(truth, np.array([[0, 0, 1, 1, 1, 2]]), 3, 1)
    # classes 1 and 2 meet once; what is predicted between 0 and 1 lies on an ignored pixel
    assert counts.tolist() == [[0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize(("tolerance", "found"), [(0, 0), (1, 3), (2, 3)])
def test_counts_of_a_shifted_border(tolerance: int, found: int) -> None:
    counts = boundary_counts(TRUTH, SHIFTED, 2, tolerance)
    # three boundary pixels of each class, in truth and prediction, one column apart
    assert counts.tolist() == [[3, found, 3, found]] * 2
    assert boundary_scores(counts) == pytest.approx([100 * found / 3] * 2)


def test_a_boundary_of_another_class_is_not_found() -> None:
    truth = np.array([[0, 0, 1, 1]])
    counts = boundary_counts(truth, np.array([[0, 0, 2, 2]]), 3, 3)
    assert counts.tolist() == [[1, 1, 1, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert boundary_scores(counts) == [100.0, 0.0, None]  # class 2 is not in the truth
    assert boundary_scores(counts, absent_as_zero=True) == [100.0, 0.0, 0.0]


@pytest.mark.parametrize(("tolerance", "found"), [(1, 0), (2, 1)])
def test_the_distance_is_euclidean(tolerance: int, found: int) -> None:
    """A single pixel predicted one down and one right of the true one: 1.41 pixels away."""
    truth, prediction = np.zeros((7, 7), int), np.zeros((7, 7), int)
    truth[2, 2] = prediction[3, 3] = 1
    assert boundary_counts(truth, prediction, 2, tolerance)[1].tolist() == [1, found, 1, found]


def test_precision_and_recall_count_different_pixels() -> None:
    """A false island costs precision, not recall."""
    truth = np.array([[0, 0, 1, 1, 1, 1, 1, 1, 1]])
    prediction = np.array([[0, 0, 1, 1, 1, 1, 0, 1, 1]])
    counts = boundary_counts(truth, prediction, 2, 1)
    assert counts.tolist() == [[2, 1, 1, 1], [3, 1, 1, 1]]
    assert boundary_scores(counts) == pytest.approx([200 / 3, 50])


def test_against_distances_to_every_pixel() -> None:
    """The search ring by ring gives what all pairs of boundary pixels give."""
    rng = np.random.default_rng(0)
    truth, prediction = (rng.integers(0, 3, (15, 19)) for _ in range(2))
    truth[4:7, 3:9] = 255
    counts = boundary_counts(truth, prediction, 3, 2)
    valid = truth != 255
    true, predicted = boundaries(truth, valid), boundaries(prediction, valid)
    for c in range(3):
        one, two = np.argwhere(predicted == c), np.argwhere(true == c)
        near = ((one[:, None] - two[None]) ** 2).sum(axis=2) <= 4
        expected = [len(one), near.any(axis=1).sum(), len(two), near.any(axis=0).sum()]
        assert counts[c].tolist() == expected
