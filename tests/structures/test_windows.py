"""Windows cover every pixel, stay inside, and end at the border."""

import numpy as np
import pytest

from co2s.structures import stride_of, windows


@pytest.mark.parametrize(
    ("height", "width", "size", "stride"), [(100, 70, 32, 26), (32, 32, 32, 26), (33, 20, 32, 7)]
)
def test_every_pixel_is_covered(height, width, size, stride):
    seen = np.zeros((height, width), int)
    for top, left, bottom, right in windows(height, width, size, stride):
        assert 0 <= top < bottom <= height and 0 <= left < right <= width
        assert bottom - top == min(size, height) and right - left == min(size, width)
        seen[top:bottom, left:right] += 1
    assert seen.min() >= 1


def test_last_window_is_shifted_back():
    assert windows(10, 4, 4, 3) == [(0, 0, 4, 4), (3, 0, 7, 4), (6, 0, 10, 4)]
    assert windows(11, 4, 4, 3)[-1] == (7, 0, 11, 4)


def test_no_window_twice():
    boxes = windows(64, 64, 32, 16)
    assert len(boxes) == len(set(boxes)) == 9


def test_gaps_and_empty_images_are_refused():
    with pytest.raises(ValueError, match="gaps"):
        windows(10, 10, 4, 5)
    with pytest.raises(ValueError, match="positive"):
        windows(0, 10, 4, 4)


def test_a_stride_is_whole_pixels_and_leaves_no_gap():
    assert [stride_of(size, 5 / 6) for size in (512, 96, 2, 1)] == [426, 80, 1, 1]
