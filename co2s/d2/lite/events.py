"""What happens during training: scalars, images and histograms, kept until a writer takes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fvcore.common.history_buffer import HistoryBuffer

_OPEN_STORAGES: list[EventStorage] = []


def get_event_storage() -> EventStorage:
    """The innermost open EventStorage; AssertionError outside any."""
    assert _OPEN_STORAGES, (
        "get_event_storage() was called outside of 'with EventStorage(...)': training opens one, "
        "other code has to."
    )
    return _OPEN_STORAGES[-1]


class EventStorage:
    """Every scalar of a training run with its iteration; the newest images and histograms."""

    def __init__(self, start_iter: int = 0) -> None:
        self.iter = start_iter
        self._history: dict[str, HistoryBuffer] = defaultdict(HistoryBuffer)
        self._smoothing_hints: dict[str, bool] = {}
        self._latest_scalars: dict[str, tuple[float, int]] = {}
        self._prefix = ""
        # Read and cleared by TensorboardXWriter alone.
        self._vis_data: list[tuple[str, Any, int]] = []
        self._histograms: list[dict[str, Any]] = []

    def put_scalar(
        self, name: str, value: Any, smoothing_hint: bool = True, cur_iter: int | None = None
    ) -> None:
        """Add a number. `smoothing_hint` says it is noisy: writers show a median over a window."""
        name = self._prefix + name
        hint = self._smoothing_hints.setdefault(name, smoothing_hint)
        assert hint == smoothing_hint, (
            f"Scalar '{name}' was first put with smoothing_hint={hint}, now with {smoothing_hint}."
        )
        value = float(value)
        iteration = self.iter if cur_iter is None else cur_iter
        self._history[name].update(value, iteration)
        self._latest_scalars[name] = (value, iteration)

    def put_scalars(
        self, *, smoothing_hint: bool = True, cur_iter: int | None = None, **kwargs: Any
    ) -> None:
        """Add several numbers, given by name."""
        for name, value in kwargs.items():
            self.put_scalar(name, value, smoothing_hint=smoothing_hint, cur_iter=cur_iter)

    def put_image(self, img_name: str, img_tensor: Any) -> None:
        """Add an RGB image `(3, H, W)`: uint8, or float in [0, 1]."""
        self._vis_data.append((img_name, img_tensor, self.iter))

    def put_histogram(self, hist_name: str, hist_tensor: torch.Tensor, bins: int = 1000) -> None:
        """Add the histogram of a tensor's values."""
        low, high = hist_tensor.min().item(), hist_tensor.max().item()
        edges = torch.linspace(low, high, bins + 1, dtype=torch.float32)
        self._histograms.append(
            {
                "tag": hist_name,
                "min": low,
                "max": high,
                "num": hist_tensor.numel(),
                "sum": float(hist_tensor.sum()),
                "sum_squares": float((hist_tensor**2).sum()),
                "bucket_limits": edges[1:].tolist(),
                "bucket_counts": torch.histc(hist_tensor, bins=bins).tolist(),
                "global_step": self.iter,
            }
        )

    def history(self, name: str) -> HistoryBuffer:
        """All values of a scalar; KeyError where there are none."""
        if name not in self._history:
            raise KeyError(f"No scalar '{name}' was stored. Stored: {', '.join(self._history)}.")
        return self._history[name]

    def histories(self) -> dict[str, HistoryBuffer]:
        return self._history

    def latest(self) -> dict[str, tuple[float, int]]:
        """Name -> (newest value, its iteration)."""
        return self._latest_scalars

    def latest_with_smoothing_hint(self, window_size: int = 20) -> dict[str, tuple[float, int]]:
        """As `latest`, with the median over the last `window_size` iterations for noisy scalars."""
        return {
            name: (self._smooth(name, window_size) if self._smoothing_hints[name] else value, when)
            for name, (value, when) in self._latest_scalars.items()
        }

    def _smooth(self, name: str, window_size: int) -> float:
        return self._history[name].median(self.count_samples(name, window_size))

    def count_samples(self, name: str, window_size: int = 20) -> int:
        """How many values of the scalar fall into the last `window_size` iterations."""
        values = self._history[name].values()
        oldest = values[-1][1] - window_size
        count = 0
        for _, iteration in reversed(values):
            if iteration <= oldest:
                break
            count += 1
        return count

    def smoothing_hints(self) -> dict[str, bool]:
        return self._smoothing_hints

    def step(self) -> None:
        """Go to the next iteration; a trainer sets `iter` instead."""
        self.iter += 1

    @property
    def iter(self) -> int:
        """The current iteration."""
        return self._iter

    @iter.setter  # noqa: A003
    def iter(self, val: int) -> None:
        self._iter = int(val)

    @property
    def iteration(self) -> int:
        return self._iter

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Scalars put inside are called `name/...`."""
        outer, self._prefix = self._prefix, name.rstrip("/") + "/"
        try:
            yield
        finally:
            self._prefix = outer

    def clear_images(self) -> None:
        self._vis_data = []

    def clear_histograms(self) -> None:
        self._histograms = []

    def __enter__(self) -> EventStorage:
        _OPEN_STORAGES.append(self)
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        assert _OPEN_STORAGES[-1] is self, "EventStorages must be closed in reverse order."
        _OPEN_STORAGES.pop()
