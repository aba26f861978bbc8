"""More than three bands into a backbone that was pretrained on three."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..weights import WeightsError

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


def joined(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """A backbone's tensors with its patch embedding `name` as one convolution of all bands."""
    joint, extra = dict(tensors), f"{name}.extra_bands.weight"
    if extra in joint:
        bands = [joint.pop(f"{name}.conv.weight"), joint.pop(extra)]
        joint[f"{name}.weight"] = torch.cat(bands, dim=1)
        if f"{name}.conv.bias" in joint:
            joint[f"{name}.bias"] = joint.pop(f"{name}.conv.bias")
    return joint


def split(
    tensors: Mapping[str, Tensor], name: str, own: Mapping[str, Tensor], source: str
) -> dict[str, Tensor]:
    """A file's tensors for a backbone that has the tensors `own`, whose patch embedding is `name`.

    A file of three bands leaves further ones as they are. WeightsError for any other number than
    the model's.
    """
    parts, extra = dict(tensors), own.get(f"{name}.extra_bands.weight")
    weight = parts.get(f"{name}.weight")
    if weight is None or weight.ndim != 4:
        return parts  # what is wrong with that is said by who loads it
    bands = RGB if extra is None else RGB + extra.shape[1]
    if weight.shape[1] not in (RGB, bands):
        raise WeightsError(
            f"{source}: its images have {weight.shape[1]} bands, those of the model {bands} "
            "(raster.bands of the dataset, MODEL.NUM_BANDS). Weights of three bands fit any "
            "number, others their own only."
        )
    if extra is not None:
        del parts[f"{name}.weight"]
        parts[f"{name}.conv.weight"] = weight[:, :RGB]
        parts[f"{name}.extra_bands.weight"] = weight[:, RGB:] if weight.shape[1] > RGB else extra
        if f"{name}.bias" in parts:
            parts[f"{name}.conv.bias"] = parts.pop(f"{name}.bias")
    return parts


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
