"""Random numbers that belong to an item, not to the batch it happens to be in."""

from collections.abc import Sequence

import torch

SALT = 0x9E3779B9  # odd: no two streams meet modulo 2^32, which is what a generator takes of a seed


def item_generators(
    seeds: Sequence[int], stream: int = 0, device: torch.device | str = "cpu"
) -> list[torch.Generator]:
    """A generator for each item, the same on one process and on many; streams draw differently."""
    return [
        torch.Generator(device=device).manual_seed((seed + stream * SALT) % 2**63) for seed in seeds
    ]
