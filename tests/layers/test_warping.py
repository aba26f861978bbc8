"""Affine geometry and noise of the item, and maps brought to the grid of another."""

import math

import pytest
import torch

from co2s.layers import draw_affine, item_noise, resize, to_grid, warp

SEEDS = [7, 8, 9]


def test_what_is_drawn_lies_in_its_bounds_and_happens_by_chance():
    theta = draw_affine([*range(400)], 30.0, 0.2, 0.1, 0.5)
    factor = 1 / (theta[:, 0, 0] ** 2 + theta[:, 1, 0] ** 2).sqrt()
    angle = torch.atan2(theta[:, 1, 0], theta[:, 0, 0]) * 180 / math.pi
    shift = -torch.linalg.solve(theta[:, :, :2], theta[:, :, 2]) / 2  # of the side
    for found, most in ((factor - 1, 0.2), (angle, 30.0), (shift[:, 0], 0.1), (shift[:, 1], 0.1)):
        assert 0.9 * most < found.abs().max() <= most * 1.0001
        assert 0.4 < (found.abs() > 1e-5).float().mean() < 0.6
        assert found.min() < -0.5 * most and found.max() > 0.5 * most
    turned, scaled = angle.abs() > 1e-4, (factor - 1).abs() > 1e-5
    assert 0.15 < (turned & scaled).float().mean() < 0.35, "each by a chance of its own"


def test_geometry_belongs_to_the_item_and_the_stream():
    theta = draw_affine(SEEDS, 30.0, 0.2, 0.1, 1.0)
    assert torch.equal(draw_affine(SEEDS[2:], 30.0, 0.2, 0.1, 1.0), theta[2:])
    assert not torch.allclose(theta[0], theta[1])
    assert not torch.allclose(draw_affine(SEEDS, 30.0, 0.2, 0.1, 1.0, stream=1), theta)


def test_an_unmoved_image_is_itself():
    x = torch.randint(0, 256, (2, 3, 8, 8)).float()
    theta = draw_affine(SEEDS[:2], 30.0, 0.2, 0.1, 0.0)
    assert torch.equal(warp(x, theta).round(), x)


@pytest.mark.parametrize(
    ("matrix", "place"),
    [
        ([[1.0, 0, -0.5], [0, 1.0, 0]], (1, 4)),  # seen from a quarter further left
        ([[0.0, -1, 0], [1.0, 0, 0]], (5, 1)),  # (x, y) shows (-y, x)
    ],
)
def test_pixels_go_where_the_geometry_says(matrix, place):
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 1, 2] = 9.0
    found = warp(x, torch.tensor([matrix]))[0, 0]
    assert found[place] == pytest.approx(9.0, abs=1e-4)
    assert found.sum() == pytest.approx(9.0, abs=1e-3)


def test_a_map_is_seen_on_another_grid():
    x = torch.arange(12.0).view(1, 1, 3, 4)
    whole = to_grid(x, (5, 6), (30, 40), (30, 40))
    torch.testing.assert_close(whole, resize(x, (5, 6), align_corners=False))
    # Cells of 10 pixels, of which the image fills 20 x 30: two rows and three columns.
    found = to_grid(x, (2, 3), (30, 40), (20, 30))
    torch.testing.assert_close(found, x[..., :2, :3])
    # One cell for the upper left 20 x 20: its centre lies between four of them.
    torch.testing.assert_close(
        to_grid(x, (1, 1), (30, 40), (20, 20)), torch.full((1, 1, 1, 1), 2.5)
    )


def test_noise_belongs_to_the_item():
    x = torch.zeros(3, 4, 50, 50).byte()
    noise = item_noise(x, SEEDS)
    assert noise.dtype == torch.float32 and noise.shape == x.shape
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    assert torch.equal(item_noise(x[2:], SEEDS[2:]), noise[2:])
    assert not torch.equal(noise[0], noise[1])
    assert (item_noise(x, SEEDS, 1) * noise).mean().abs() < 0.02, "another stream, other noise"
