"""Losses of pretraining without labels, as pure functions; the caller counts the pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6  # of a patch's variance, as in MAE


def normalized_patches(images: Tensor, valid: Tensor, patch: int) -> Tensor:
    """Images (B, C, H, W), each patch brought to mean 0 and variance 1 over its pixels and bands.

    Only valid (B, H, W) pixels have a say; the others are 0 in the result. Patches of that many
    pixels begin at the upper left, those at the right and lower border may be cut (MAE, He et al.
    2022: with such targets a model learns texture, and not how bright a place is).
    """
    height, width = images.shape[-2:]
    rest = (0, -width % patch, 0, -height % patch)
    weight = F.pad(valid[:, None].to(images.dtype), rest)
    x = F.pad(images, rest) * weight
    count = _by_patch(weight, patch).clamp(min=1.0)
    mean = _by_patch(x.mean(dim=1, keepdim=True), patch) / count
    centred = (x - _to_pixels(mean, patch)) * weight
    variance = _by_patch(centred.square().mean(dim=1, keepdim=True), patch) / count
    result = centred * _to_pixels((variance + EPSILON).rsqrt(), patch)
    return result[..., :height, :width]


def reconstruction_loss(predicted: Tensor, target: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """Absolute error, mean over the bands, summed over the mask and divided by its `count`.

    predicted, target (B, C, H, W); mask (B, H, W) bool: hidden pixels that are valid. (SimMIM, Xie
    et al. 2022.) 0 where there is none.
    """
    error = (predicted.float() - target.detach().float()).abs().mean(dim=1)
    return torch.where(mask, error, 0.0).sum() / count


def cosine_loss(student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """1 - cosine between two maps (B, C, h, w), summed over the pixels of mask (B, H, W) bool.

    A pixel has the error of the cell of the map that it lies in; the sum is divided by `count`. The
    teacher gets no gradient. 0 where no pixel counts.
    """
    error = 1 - F.cosine_similarity(student.float(), teacher.detach().float(), dim=1)
    error = F.interpolate(error[:, None], size=mask.shape[-2:], mode="nearest-exact")[:, 0]
    return torch.where(mask, error, 0.0).sum() / count


def _by_patch(x: Tensor, patch: int) -> Tensor:
    """The sum over every patch."""
    return F.avg_pool2d(x, patch) * patch**2


def _to_pixels(x: Tensor, patch: int) -> Tensor:
    return x.repeat_interleave(patch, dim=-2).repeat_interleave(patch, dim=-1)
