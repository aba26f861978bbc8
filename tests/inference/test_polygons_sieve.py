"""The minimum mapping unit against a slow way that has the whole map, however its rows come."""

import numpy as np
import pytest

from co2s.inference.polygons.components import label_components
from co2s.inference.polygons.sieve import sieved

NODATA = 255


def sieve(classes, min_pixels, rows=1000):
    classes = np.array(classes, np.uint8)
    strips = (classes[first : first + rows] for first in range(0, len(classes), rows))
    return np.concatenate(list(sieved(strips, min_pixels)))


def slowly(classes, min_pixels):
    """The smallest component first, looked for anew after each change."""
    classes = classes.copy()
    while True:
        labels, count = label_components(classes)
        small = [(np.sum(labels == n), np.argmax(labels == n), n) for n in range(1, count + 1)]
        for size, _, number in sorted(small):
            shared = borders(classes, labels == number)
            if size < min_pixels and shared:
                classes[labels == number] = min(shared, key=lambda v: (-shared[v], v))
                break
        else:
            return classes


def borders(classes, own):
    """By class the sides that pixels share with it."""
    shared = {}
    for y, x in zip(*np.nonzero(own), strict=True):
        for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= place[0] < own.shape[0] and 0 <= place[1] < own.shape[1]
            if inside and not own[place] and classes[place] != NODATA:
                shared[classes[place]] = shared.get(classes[place], 0) + 1
    return shared


def test_components_end_at_corners_and_nodata():
    classes = np.array([[1, 2, 1], [2, NODATA, NODATA], [2, NODATA, 1]], np.uint8)
    labels, count = label_components(classes)
    assert count == 5
    assert labels[0, 1] != labels[1, 0] == labels[2, 0]
    assert (labels == 0).sum() == 3
    assert len(set(labels.ravel()) - {0}) == 5


def test_a_small_component_goes_where_its_border_is_longest():
    classes = [[1, 1, 1, 2], [1, 3, 2, 2], [2, 2, 2, 2]]
    assert sieve(classes, 2).tolist() == [[1, 1, 1, 2], [1, 1, 2, 2], [2, 2, 2, 2]]


def test_borders_with_two_components_of_one_class_are_added():
    classes = [[1, 1, 1], [2, 3, 2], [2, NODATA, 2]]
    assert sieve(classes, 2)[1].tolist() == [2, 2, 2]
    tied = [[4, 4, 4], [1, 3, 4], [1, 1, NODATA]]
    assert sieve(tied, 2)[1].tolist() == [1, 1, 4], "of equal ones the lowest value"


def test_the_smallest_goes_first_and_may_make_another_one_large_enough():
    classes = [[1, 1, 1], [1, 2, 2], [1, 2, 3]]
    assert sieve(classes, 4).tolist() == [[1, 1, 1], [1, 2, 2], [1, 2, 2]]
    assert (sieve(classes, 5) == 1).all()


def test_one_with_nodata_around_it_stays():
    classes = [[1, 255, 2], [255, 255, 2]]
    assert sieve(classes, 9).tolist() == classes


@pytest.mark.parametrize("seed", range(6))
def test_the_result_is_that_of_the_whole_map_for_any_height_of_strips(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(5, 12, 2)
    classes = rng.integers(0, 3, (height, width)).astype(np.uint8)
    if seed % 2:
        classes = np.kron(classes[::2, ::2], np.ones((2, 2), np.uint8))
        classes[rng.random(classes.shape) < 0.15] = 7
    classes[rng.random(classes.shape) < 0.1] = NODATA
    for min_pixels in (2, 4, 9):
        truth = slowly(classes, min_pixels)
        assert (truth != classes).any()
        for rows in (1, 2, 3, len(classes)):
            np.testing.assert_array_equal(sieve(classes, min_pixels, rows), truth)


def test_rows_are_handed_on_before_the_last_ones_are_read():
    read = []

    def strips():
        for number in range(20):
            read.append(number)
            yield np.repeat(np.array([[1, 2, 2]], np.uint8), 3, axis=0)

    first = next(sieved(strips(), 4))
    assert len(first) == 6, "the 1s have 3 pixels at first"
    assert len(read) == 3
