"""Windows that cover an image: the geometry of sliding-window inference."""


def windows(height: int, width: int, size: int, stride: int) -> list[tuple[int, int, int, int]]:
    """(top, left, bottom, right) of every window, row by row (method section 5).

    The last window in each direction is shifted back to end at the border; where the image is
    smaller than the window, the window is as large as the image. Sizes in pixels.
    """
    if min(height, width, size, stride) < 1:
        raise ValueError(
            f"Sizes must be positive: image {height} x {width}, window {size}, stride {stride}."
        )
    if stride > size:
        raise ValueError(f"A stride of {stride} leaves gaps between windows of {size} pixels.")
    return [
        (top, left, min(top + size, height), min(left + size, width))
        for top in _starts(height, size, stride)
        for left in _starts(width, size, stride)
    ]


def stride_of(size: int, ratio: float) -> int:
    """The stride between windows of a size that is such a share of it, rounded down; 1 at least."""
    return max(int(size * ratio), 1)


def _starts(length: int, size: int, stride: int) -> list[int]:
    last = max(length - size, 0)
    return [*range(0, last, stride), last]
