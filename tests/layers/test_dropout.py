"""Channel dropout: of the item, of the stream, and only where something is kept."""

import pytest
import torch

from co2s.layers import channel_dropout, complementary_dropout

MAPS = {"a": torch.ones(3, 64, 2, 2), "b": torch.ones(3, 64, 1, 1)}


def kept(seeds, **options):
    """(B, 128) bool: which channels of the two maps are kept."""
    dropped = channel_dropout(MAPS, 0.5, seeds, **options)
    return torch.cat([x.amax((2, 3)) > 0 for x in dropped.values()], dim=1)


def test_it_belongs_to_the_item():
    together = channel_dropout(MAPS, 0.5, [7, 8, 9])
    alone = channel_dropout({k: v[2:] for k, v in MAPS.items()}, 0.5, [9])
    for key in MAPS:
        assert torch.equal(together[key][2:], alone[key])
        assert set(together[key].unique().tolist()) == {0.0, 2.0}
        assert (together[key].flatten(2).std(dim=2, unbiased=False) == 0).all(), "whole channels"
    assert not torch.equal(together["a"][0, :, 0, 0], together["b"][0, :, 0, 0])
    assert not torch.equal(together["a"][0], together["a"][1])


def test_streams_drop_other_channels_of_the_same_item():
    streams = [kept([7, 8, 9], stream=i) for i in range(3)]
    for i in range(3):
        for j in range(i):
            share = (streams[i] == streams[j]).float().mean().item()
            assert 0.4 < share < 0.6, "no more alike than two draws are by chance"
    assert torch.equal(streams[1], kept([7, 8, 9], stream=1))


def test_stream_0_draws_from_the_seed_itself():
    generator = torch.Generator().manual_seed(7)
    expected = [torch.rand(64, generator=generator) >= 0.5 for _ in range(2)]
    assert torch.equal(kept([7, 8, 9])[0], torch.cat(expected))


@pytest.mark.parametrize("p", [1.0, 1.5, -0.1, float("nan")])
def test_shares_that_leave_nothing_are_refused_by_name(p):
    with pytest.raises(ValueError, match=rf"FEATURE_DROPOUT is {p}; .* from 0 .* below 1"):
        channel_dropout(MAPS, p, [7, 8, 9])


def test_nothing_dropped_is_the_map_itself():
    for key, x in channel_dropout(MAPS, 0.0, [7, 8, 9]).items():
        assert torch.equal(x, MAPS[key])


def factors(seeds, **options):
    """What two views' maps of ones become, by map: (B, C) of each view."""
    ones = {name: torch.ones_like(value[: len(seeds)]) for name, value in MAPS.items()}
    views = complementary_dropout(ones, ones, seeds, **options)
    return [{name: value[..., 0, 0] for name, value in view.items()} for view in views]


def test_what_one_view_loses_the_other_has_doubled():
    one, two = factors([7, 8, 9], spared=0.0)
    for name, first in one.items():
        assert torch.equal(first + two[name], torch.full_like(first, 2.0))
        assert {*first.unique().tolist()} == {0.0, 2.0}
        assert 0.2 < (first > 0).float().mean() < 0.8
        assert not torch.equal(first[0], first[1]), "each item has channels of its own"


def test_maps_of_as_many_channels_lose_the_same():
    maps = {name: torch.ones(2, width, 3, 3) for name, width in (("a", 8), ("b", 5), ("c", 8))}
    one, _ = complementary_dropout(maps, maps, [1, 2], spared=0.0)
    assert torch.equal(one["a"], one["c"])
    assert one["b"].shape == (2, 5, 3, 3)


def test_some_items_are_spared_by_their_own_seed():
    seeds = [*range(200)]
    maps = {"dense": torch.ones(200, 8, 1, 1)}
    one, two = complementary_dropout(maps, maps, seeds, spared=0.3)
    spared = (one["dense"] == 1).all(dim=1).flatten()
    assert torch.equal(spared, (two["dense"] == 1).all(dim=1).flatten())
    assert 0.2 < spared.float().mean() < 0.4
    last = {"dense": maps["dense"][-3:]}
    alone, _ = complementary_dropout(last, last, seeds[-3:], spared=0.3)
    assert torch.equal(alone["dense"], one["dense"][-3:])
    other, _ = complementary_dropout(maps, maps, seeds, stream=1, spared=0.3)
    assert not torch.equal(other["dense"], one["dense"]), "another student, other channels"


def test_each_view_keeps_its_own_values():
    one = {"dense": torch.full((1, 16, 2, 2), 3.0)}
    two = {"dense": torch.full((1, 16, 2, 2), 5.0)}
    first, second = (view["dense"] for view in complementary_dropout(one, two, [4], spared=0.0))
    assert torch.equal(first == 0, second == 10) and torch.equal(second == 0, first == 6)
