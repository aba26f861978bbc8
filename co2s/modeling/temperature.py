"""Temperatures: how sure a prediction may say it is, one number for each (Guo et al. 2017)."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

FUSED = "fused"  # the prediction of several students together


class Temperatures(nn.Module):
    """One temperature for each student and, where there are several, one for their fusion.

    They start at 1, which changes nothing, are fitted after training, and are saved with the model.
    """

    def __init__(self, students: Iterable[str]):
        super().__init__()
        names = [*students]
        for name in [*names, FUSED] if len(names) > 1 else names:
            self.register_buffer(name, torch.ones(()))

    def values(self) -> dict[str, float]:
        """By the name of the prediction."""
        return {name: float(value) for name, value in self.named_buffers()}

    def set(self, values: Mapping[str, float]) -> None:
        """Those that are named; the others are 1. KeyError for a prediction that is not there."""
        own = dict(self.named_buffers())
        for buffer in own.values():
            buffer.fill_(1.0)
        for name, value in values.items():
            own[name].fill_(value)

    def forward(self, name: str, probs: Tensor) -> Tensor:
        """Probabilities (N, H, W) of a prediction as they are worth believing."""
        return tempered(probs, float(self.get_buffer(name)))


def tempered(probs: Tensor, temperature: float) -> Tensor:
    """p^(1/T), normalised, of probabilities (N, H, W): softmax(z / T) where p = softmax(z).

    T above 1 makes them less sure. The most probable class of every pixel stays the same one, and
    a pixel without probabilities has none afterwards. Unchanged where T is 1.
    """
    if temperature == 1.0:
        return probs
    powers = probs.pow(1 / temperature)
    result = powers / powers.sum(dim=0).clamp(min=torch.finfo(probs.dtype).tiny)
    # Two classes may differ by less than a power can tell: then the first one would win.
    lower = probs < probs.amax(dim=0, keepdim=True)
    if (lower & (result == result.amax(dim=0, keepdim=True))).any():
        top = probs.argmax(dim=0, keepdim=True)
        moved = result.argmax(dim=0, keepdim=True) != top
        above = torch.nextafter(result.amax(dim=0, keepdim=True), result.new_tensor(2.0))
        result.scatter_(0, top, torch.where(moved, above, result.gather(0, top)))
    return result
