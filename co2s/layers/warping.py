"""Warping: affine geometry drawn for the item, and maps brought to another grid."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .resample import resize
from .seeding import item_generators


def draw_affine(
    seeds: Sequence[int],
    degrees: float,
    scale: float,
    shift: float,
    probability: float,
    stream: int = 0,
) -> Tensor:
    """(B, 2, 3): from where in an image each place of a square view comes, as `affine_grid` has it.

    Turned by up to +- degrees, scaled by 1 +- scale, shifted by +- shift of the side, each of the
    three with a probability of its own. One seed for each of the B items, streams as in
    `channel_dropout`.
    """
    rows = []
    for generator in item_generators(seeds, stream):
        drawn = torch.rand(7, generator=generator, dtype=torch.float64).tolist()
        turn, factor, right, down = (2 * value - 1 for value in drawn[:4])
        does = [value < probability for value in drawn[4:]]
        angle = math.radians(degrees * turn * does[0])
        inverse = 1 / (1 + scale * factor * does[1])
        cos, sin = math.cos(angle) * inverse, math.sin(angle) * inverse
        x, y = 2 * shift * right * does[2], 2 * shift * down * does[2]  # the side is 2 long
        rows.append([[cos, -sin, -(cos * x - sin * y)], [sin, cos, -(sin * x + cos * y)]])
    return torch.tensor(rows)


def warp(x: Tensor, theta: Tensor, mode: str = "bilinear") -> Tensor:
    """(B, C, S, S) floats seen through theta (B, 2, 3); 0 where that is outside."""
    grid = F.affine_grid(theta.to(x.device, x.dtype), [*x.shape], align_corners=False)
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)


def to_grid(x: Tensor, size: Sequence[int], whole: Sequence[int], part: Sequence[int]) -> Tensor:
    """A map (B, C, h, w) of `whole` (H, W) pixels -> (B, C, *size) of their upper left `part`.

    Bilinear, at the centres of the new cells. Where the part is the whole it is `resize`.
    """
    if tuple(whole) == tuple(part):
        return resize(x, size, align_corners=False)
    rows, columns = (
        (torch.arange(n, device=x.device) + 0.5) * (2 * inside / n / all_) - 1
        for n, inside, all_ in zip(size, part, whole, strict=True)
    )
    y, x_ = torch.meshgrid(rows, columns, indexing="ij")
    grid = torch.stack([x_, y], dim=-1).to(x.dtype).expand(len(x), -1, -1, -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
