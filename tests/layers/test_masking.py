"""Hidden squares: how many, where, and that only the item's seed decides."""

import pytest
import torch

from co2s.layers import hidden_squares

SEEDS = [7, 8, 2**31 - 1]


def test_a_share_of_the_squares_is_hidden_and_whole():
    hidden = hidden_squares((32, 40), 8, 0.6, SEEDS)
    assert hidden.shape == (3, 32, 40) and hidden.dtype == torch.bool
    squares = hidden.unflatten(1, (4, 8)).unflatten(3, (5, 8)).transpose(2, 3).flatten(3)
    assert torch.equal(squares.any(-1), squares.all(-1))
    assert squares.any(-1).sum((1, 2)).tolist() == [12] * 3  # of 20


def test_the_last_squares_may_stick_out():
    hidden = hidden_squares((9, 17), 8, 0.5, [3])
    assert hidden.shape == (1, 9, 17)
    corners = [hidden[0, y, x].item() for y in (0, 8) for x in (0, 8, 16)]
    assert sum(corners) == 3


def test_an_item_is_masked_the_same_in_any_company():
    together = hidden_squares((32, 32), 8, 0.5, SEEDS)
    for i, seed in enumerate(SEEDS):
        assert torch.equal(hidden_squares((32, 32), 8, 0.5, [seed])[0], together[i])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(hidden_squares((32, 32), 8, 0.5, SEEDS, 1), together), "a stream each"


def test_something_is_hidden_and_something_is_seen():
    assert hidden_squares((16, 16), 8, 0.01, [1]).sum() == 64
    assert hidden_squares((16, 16), 8, 0.99, [1]).sum() == 3 * 64
    with pytest.raises(ValueError, match="hide all or nothing of a crop of 8 x 8"):
        hidden_squares((8, 8), 8, 0.5, [1])
