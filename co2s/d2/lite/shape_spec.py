"""What is known about a feature map before it exists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ShapeSpec:
    """Channels, size and stride (input pixels per feature pixel) of a tensor; None is unknown."""

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    stride: int | None = None
