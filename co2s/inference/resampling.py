"""From the grid of a scene to that of the network and back, piece by piece.

Pixels are computed from their places in the whole scene, so that pieces agree where they meet.
"""

import torch
from torch import Tensor


def taps(start: int, stop: int, sizes: tuple[int, int], smooth: bool) -> tuple[int, int, Tensor]:
    """Which source pixels make the pixels start to stop of another grid, and by which weights.

    sizes: lengths of the source and of that grid. Returns the first source pixel, the one behind
    the last, and weights (stop - start, pixels). Bilinear as `co2s.layers.resize` with
    align_corners False; smooth: of a finer source all pixels count (antialiased).
    """
    source, target = sizes
    step = source / target
    reach = max(step, 1.0) if smooth else 1.0
    centers = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * step - 0.5
    first, last = int(centers[0] - reach), int(centers[-1] + reach) + 1
    places = torch.arange(first, last + 1)
    weights = (1 - (places - centers[:, None]).abs() / reach).clamp(min=0)
    if smooth:
        weights[:, (places < 0) | (places >= source)] = 0
    weights /= weights.sum(dim=1, keepdim=True)
    # What lies outside is the pixel at the border, where it still counts.
    begin, end = min(max(first, 0), source - 1), min(max(last, 0), source - 1) + 1
    inside = places.clamp(begin, end - 1) - begin
    result = torch.zeros(len(centers), end - begin, dtype=torch.float64)
    return begin, end, result.index_add_(1, inside, weights).float()


def resampled(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Image (C, h, w) of any type -> float (C, H, W) by the weights (H, h) and (W, w)."""
    return rows @ image.float() @ columns.T


class Back:
    """From rows of the network's grid to rows of the scene's, as they become complete.

    Bilinear as `co2s.layers.resize` with align_corners True, as a network's map is resized.
    """

    def __init__(self, scene: tuple[int, int], network: tuple[int, int]) -> None:
        """Heights and widths of both grids."""
        self.scene, self.network = scene, network
        self.same = scene == network
        self.made = 0  # rows of the scene
        self._first = 0  # row of the network's grid that `_held` begins with
        self._held: Tensor | None = None
        self._columns = _lerp(torch.arange(scene[1]), scene[1], network[1])

    def add(self, rows: Tensor) -> Tensor | None:
        """The rows of the scene (N, r, W) that the next rows (N, h, w) complete, if any."""
        if self.same:
            self.made += rows.shape[1]
            return rows
        held = rows if self._held is None else torch.cat([self._held, rows], dim=1)
        stop = self._complete(self._first + held.shape[1])
        result = None
        if stop > self.made:
            result = self._cut(held, self.made, stop)
            self.made = stop
        if stop < self.scene[0]:
            low = int(_lerp(torch.tensor([stop]), self.scene[0], self.network[0])[0][0])
            held, self._first = held[:, low - self._first :], low
        self._held = held.clone()
        return result

    def _complete(self, known: int) -> int:
        """How many rows of the scene need none but the first `known` rows of the network's."""
        if known >= self.network[0]:
            return self.scene[0]
        tall, low = self.scene[0], self.network[0]
        if low == 1 or tall == 1:
            return 0
        return min(int((known - 1) * (tall - 1) / (low - 1)), tall)

    def _cut(self, held: Tensor, start: int, stop: int) -> Tensor:
        below, above, share = _lerp(torch.arange(start, stop), self.scene[0], self.network[0])
        low, high = held[:, below - self._first], held[:, above - self._first]
        rows = torch.lerp(low, high, share[:, None])
        below, above, share = self._columns
        return torch.lerp(rows[..., below], rows[..., above], share)


def _lerp(places: Tensor, target: int, source: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two source pixels of each place, and how much the second one counts."""
    step = (source - 1) / (target - 1) if target > 1 else 0.0
    exact = places.double() * step
    below = exact.floor().long().clamp(0, source - 1)
    return below, (below + 1).clamp(max=source - 1), (exact - below).float()
