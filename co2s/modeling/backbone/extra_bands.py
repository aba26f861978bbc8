"""More than three bands into a backbone that was pretrained on three."""

import torch
from torch import Tensor, nn

RGB = 3


class ExtendedConv(nn.Module):
    """A patch embedding (B, 3 + E, H, W) -> (B, C, h, w): the pretrained one, plus E bands' own.

    The new weights start at zero: to begin with the output is that of the first three bands alone.
    """

    def __init__(self, conv: nn.Conv2d, extra: int):
        super().__init__()
        self.conv = conv
        self.out_channels = conv.out_channels
        kernel, stride = conv.kernel_size, conv.stride
        self.extra_bands = nn.Conv2d(extra, conv.out_channels, kernel, stride, bias=False)  # type: ignore[arg-type]
        nn.init.zeros_(self.extra_bands.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x[:, :RGB]) + self.extra_bands(x[:, RGB:])


def extended(conv: nn.Conv2d, bands: int) -> nn.Module:
    """The patch embedding for that many bands; for three it is left as it is."""
    return conv if bands == RGB else ExtendedConv(conv, bands - RGB)


def extend_statistics(values: list[float], bands: int, key: str) -> list[float]:
    """Means or deviations of three bands for more: the new ones get their average.

    ValueError where `values` are neither three nor one for each band.
    """
    if len(values) == bands:
        return list(values)
    if len(values) != RGB:
        raise ValueError(
            f"{key} has {len(values)} values, the dataset has {bands} bands: give one for each, or "
            "three for red, green and blue."
        )
    average = torch.tensor(values).mean().item()
    return [*values, *[average] * (bands - RGB)]
