"""Windows blended into rows."""

import pytest
import torch

from co2s.inference.blending import BlendedRows, slope
from co2s.structures import windows


def blend(height, width, size, stride, values, most=100):
    """All windows through BlendedRows, row by row; also the most rows that it held."""
    boxes = windows(height, width, size, stride)
    rows = BlendedRows(boxes, width, 2, stride)
    parts, held = [], 0
    for number, box in enumerate(boxes):
        rows.add(box, values(box))
        held = max(held, rows.held)
        stop = boxes[number + 1][0] if number + 1 < len(boxes) else height
        parts += [part.clone() for part in rows.complete(stop, most)]
    return torch.cat(parts, dim=1), held


@pytest.mark.parametrize("most", [1, 3, 100])
def test_the_blend_is_the_weighted_mean_of_all_windows(most):
    height, width, size, stride = 37, 29, 12, 8
    drawn = {box: torch.randn(2, 12, 12) for box in windows(height, width, size, stride)}
    found, held = blend(height, width, size, stride, drawn.__getitem__, most)
    total, count = torch.zeros(2, height, width), torch.zeros(height, width)
    weights = slope(12, 4)[:, None] * slope(12, 4)
    for (top, left, bottom, right), values in drawn.items():
        total[:, top:bottom, left:right] += weights * values
        count[top:bottom, left:right] += weights
    torch.testing.assert_close(found, total / count)
    assert held <= size, "no more rows than a window has"


def test_weights_fall_towards_the_edges_and_are_never_nothing():
    weights = slope(10, 4)
    assert weights.tolist() == weights.flip(0).tolist()
    assert weights[:4].tolist() == pytest.approx([0.0381, 0.3087, 0.6913, 0.9619], abs=1e-4)
    assert (weights[:4] + weights[:4].flip(0)).tolist() == pytest.approx([1] * 4), "two make one"
    assert weights[4:6].tolist() == [1, 1]


def test_where_all_windows_agree_the_blend_is_what_they_say():
    truth = torch.randn(2, 20, 41)
    found, _ = blend(20, 41, 16, 5, lambda b: truth[:, b[0] : b[2], b[1] : b[3]])
    torch.testing.assert_close(found, truth)


def test_rows_that_no_window_was_added_to_are_zero():
    boxes = windows(40, 8, 8, 8)
    rows = BlendedRows(boxes, 8, 1, 8)
    parts = [part.clone() for part in rows.complete(boxes[4][0], 7)]
    rows.add(boxes[4], torch.ones(1, 8, 8))
    parts += [part.clone() for part in rows.complete(40, 7)]
    found = torch.cat(parts, dim=1)
    assert found.shape == (1, 40, 8)
    assert found[:, :32].abs().max() == 0
    assert found[:, 32:].min() == 1
    assert [*rows.complete(40, 7)] == []
