"""Channel dropout: of the item, of the stream, and only where something is kept."""

import pytest
import torch

from co2s.layers import channel_dropout

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
