"""Images of different sizes as one padded tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class ImageList:
    """A padded tensor `(B, ..., H, W)` and each image's own `(height, width)`."""

    def __init__(self, tensor: torch.Tensor, image_sizes: list[tuple[int, int]]) -> None:
        self.tensor = tensor
        self.image_sizes = image_sizes

    def __len__(self) -> int:
        return len(self.image_sizes)

    def __getitem__(self, idx: int) -> torch.Tensor:
        """One image without its padding, `(..., h, w)`."""
        height, width = self.image_sizes[idx]
        return self.tensor[idx, ..., :height, :width]

    def to(self, *args: Any, **kwargs: Any) -> ImageList:
        return ImageList(self.tensor.to(*args, **kwargs), self.image_sizes)

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    @staticmethod
    def from_tensors(
        tensors: Sequence[torch.Tensor],
        size_divisibility: int = 0,
        pad_value: float = 0.0,
        padding_constraints: dict[str, int] | None = None,
    ) -> ImageList:
        """Pad images `(..., h, w)` at the right and bottom to the largest height and width.

        Both are rounded up to multiples of `size_divisibility`. `padding_constraints` may name
        "size_divisibility" (which wins) and "square_size" (height and width before rounding).
        """
        assert isinstance(tensors, tuple | list), f"Images must be a list, got {type(tensors)}."
        assert tensors, "No images: give at least one tensor."
        shapes = {tuple(image.shape[:-2]) for image in tensors}
        assert len(shapes) == 1, f"Images differ in their leading dimensions: {sorted(shapes)}."
        constraints = padding_constraints or {}
        sizes = [(image.shape[-2], image.shape[-1]) for image in tensors]
        height, width = (max(sides) for sides in zip(*sizes, strict=True))
        if constraints.get("square_size", 0) > 0:
            height = width = constraints["square_size"]
        step = max(constraints.get("size_divisibility", size_divisibility), 1)
        height, width = (-(-side // step) * step for side in (height, width))
        padded = tensors[0].new_full(
            (len(tensors), *tensors[0].shape[:-2], height, width), pad_value
        )
        for target, image in zip(padded, tensors, strict=True):
            target[..., : image.shape[-2], : image.shape[-1]].copy_(image)
        return ImageList(padded, sizes)
