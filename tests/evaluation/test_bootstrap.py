"""The paired bootstrap, mIoU of many matrices at once, and the file of single images."""

from pathlib import Path

import numpy as np
import pytest

from co2s.evaluation import confusion_matrix, scores
from co2s.evaluation.bootstrap import (
    gain_over_seeds,
    mean_iou,
    mean_over_seeds,
    paired_gain,
)
from co2s.evaluation.per_image import filled_cells, read_per_image, write_per_image


def matrices(images: int, seed: int = 0, right: float = 0.8) -> np.ndarray:
    """Of images of 100 pixels and 4 classes, of which the last one never is the truth."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(images):
        truth = rng.integers(0, 3, (10, 10))
        wrong = rng.integers(0, 4, (10, 10))
        found.append(
            confusion_matrix(truth, np.where(rng.random((10, 10)) < right, truth, wrong), 4)
        )
    return np.stack(found)


@pytest.mark.parametrize("zero", [False, True])
def test_mean_iou_is_that_of_the_scores(zero: bool) -> None:
    found = matrices(5)
    expected = [scores(m, "abcd", absent_as_zero=zero)["mIoU"] for m in found]
    np.testing.assert_allclose(mean_iou(found, absent_as_zero=zero), expected)
    assert np.isnan(mean_iou(np.zeros((3, 3))))


def test_the_gain_is_of_the_whole_set_and_in_its_interval() -> None:
    good, bad = matrices(30, right=0.9), matrices(30, right=0.7)
    gain = paired_gain(good, bad)
    assert gain.value == pytest.approx(float(mean_iou(good.sum(0)) - mean_iou(bad.sum(0))))
    assert 0 < gain.low < gain.value < gain.high
    other = paired_gain(bad, good)
    assert (other.value, other.low) == pytest.approx((-gain.value, -gain.high))


def test_the_interval_of_the_mean_of_equal_images_is_known() -> None:
    """All pixels of an image right or wrong: OA and mIoU of one class are means over images."""
    right, wrong = np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]])
    first = np.stack([right] * 60 + [wrong] * 40)
    gain = paired_gain(first, np.stack([wrong] * 100))
    assert gain.value == pytest.approx(60)
    error = 100 * np.sqrt(0.6 * 0.4 / 100)  # standard error of a share
    assert gain.low == pytest.approx(60 - 1.96 * error, abs=1.5)
    assert gain.high == pytest.approx(60 + 1.96 * error, abs=1.5)


def test_pairs_stay_together() -> None:
    """Two models that fail on the same images: the difference hardly depends on which."""
    rng = np.random.default_rng(0)
    easy = rng.random(50) < 0.5
    one = np.stack([[[95, 5], [5, 95]] if e else [[50, 50], [50, 50]] for e in easy])
    two = np.stack([[[93, 7], [7, 93]] if e else [[48, 52], [52, 48]] for e in easy])
    paired = paired_gain(one, two)
    apart = paired_gain(one, two[rng.permutation(50)])
    assert paired.high - paired.low < 0.2 * (apart.high - apart.low)


def test_it_is_the_same_every_time_and_refuses_other_images() -> None:
    one, two = matrices(8, 1), matrices(8, 2)
    assert paired_gain(one, two) == paired_gain(one, two)
    with pytest.raises(ValueError, match="Not the same images"):
        paired_gain(one, two[1:])


def one_class(shares: list[float], images: int) -> list[np.ndarray]:
    """Runs of one class whose images are all right to a share: mIoU is that share."""
    runs = [
        np.array([[round(1000 * share), 1000 - round(1000 * share)], [0, 0]]) for share in shares
    ]
    return [np.stack([run] * images) for run in runs]


def test_where_images_say_nothing_the_interval_is_that_of_the_seeds() -> None:
    """Means of three draws of 10, 40 and 70: 10 with probability 1/27, as much as 70."""
    found = mean_over_seeds(one_class([0.1, 0.4, 0.7], images=5))
    assert (found.value, found.low, found.high) == pytest.approx((40, 10, 70))
    half = mean_over_seeds(one_class([0.3, 0.5], images=5))
    assert (half.value, half.low, half.high) == pytest.approx((40, 30, 50))


def test_more_seeds_are_no_more_images() -> None:
    """Runs that are right on the same images: their mean depends on the images as one run does."""
    run = matrices(20)
    one, three = mean_over_seeds([run]), mean_over_seeds([run, run, run])
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert one.low < one.value < one.high


def test_a_seed_stays_with_itself() -> None:
    """Seeds differ by 60 points, the two models by 5 at every seed: the gain is known well."""
    first, second = one_class([0.1, 0.4, 0.7], 5), one_class([0.05, 0.35, 0.65], 5)
    found = gain_over_seeds(first, second)
    assert (found.value, found.low, found.high) == pytest.approx((5, 5, 5))
    with pytest.raises(ValueError, match="Not pairs of runs: 3 and 2"):
        gain_over_seeds(first, second[:2])


def test_single_images_are_read_as_they_were(tmp_path: Path) -> None:
    found = matrices(3)
    cells = {"fused": [filled_cells(m) for m in found], "local": [filled_cells(0 * found[0])] * 3}
    write_per_image(tmp_path, ["a/1.png", "ü", "c"], cells, 4)
    again = read_per_image(tmp_path, "fused")
    assert [*again] == ["a/1.png", "ü", "c"]
    np.testing.assert_array_equal(np.stack([*again.values()]), found)
    assert not any(m.any() for m in read_per_image(tmp_path, "local").values())
    with pytest.raises(ValueError, match="no prediction 'global'"):
        read_per_image(tmp_path, "global")
