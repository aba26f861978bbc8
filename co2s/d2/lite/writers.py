"""Where events go: the console, metrics.json, TensorBoard."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections import defaultdict
from functools import cached_property
from typing import Any

import torch

from .events import EventStorage, get_event_storage
from .file_io import PathManager
from .logger import get_logger


class EventWriter:
    """Takes events from the open EventStorage and puts them somewhere."""

    def write(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class JSONWriter(EventWriter):
    """One JSON object per line and iteration, appended to a file."""

    def __init__(self, json_file: str, window_size: int = 20) -> None:
        self._file = PathManager.open(json_file, "a")
        self._window_size = window_size
        self._last_write = -1

    def write(self) -> None:
        lines: dict[int, dict[str, float]] = defaultdict(dict)
        latest = get_event_storage().latest_with_smoothing_hint(self._window_size)
        for name, (value, iteration) in latest.items():
            if iteration > self._last_write:
                lines[iteration][name] = value
        for iteration, scalars in lines.items():
            line = json.dumps({**scalars, "iteration": iteration}, sort_keys=True)
            self._file.write(line + "\n")
        self._last_write = max(lines, default=self._last_write)
        # On disk at once: a run that is killed keeps what it has reported.
        self._file.flush()
        if hasattr(self._file, "fileno"):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class TensorboardXWriter(EventWriter):
    """Scalars, images and histograms as TensorBoard event files in a folder."""

    def __init__(self, log_dir: str, window_size: int = 20, **kwargs: Any) -> None:
        self._window_size = window_size
        self._writer_args = {"log_dir": log_dir, **kwargs}
        self._last_write = -1

    @cached_property
    def _writer(self) -> Any:
        # Made when first used: TensorBoard is slow to import and creates its file at once.
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(**self._writer_args)

    def write(self) -> None:
        storage = get_event_storage()
        newest = self._last_write
        latest = storage.latest_with_smoothing_hint(self._window_size)
        for name, (value, iteration) in latest.items():
            if iteration > self._last_write:
                self._writer.add_scalar(name, value, iteration)
                newest = max(newest, iteration)
        self._last_write = newest
        for name, image, iteration in storage._vis_data:
            self._writer.add_image(name, image, iteration)
        storage.clear_images()
        for histogram in storage._histograms:
            self._writer.add_histogram_raw(**histogram)
        storage.clear_histograms()

    def close(self) -> None:
        if "_writer" in self.__dict__:
            self._writer.close()


class CommonMetricPrinter(EventWriter):
    """One console line: time left, losses, seconds per iteration, learning rate, GPU memory."""

    def __init__(self, max_iter: int | None = None, window_size: int = 20) -> None:
        self.logger = get_logger("utils.events")
        self._max_iter = max_iter
        self._window_size = window_size
        # (iteration, seconds) of the last line, for the estimate without an IterationTimer.
        self._last_write: tuple[int, float] | None = None

    def write(self) -> None:
        storage = get_event_storage()
        if storage.iter == self._max_iter:
            return  # Training is over: there is no progress to report.
        eta = self._eta(storage)
        rate = f"{storage.history('lr').latest():.5g}" if _has(storage, "lr") else "N/A"
        parts = [
            f" eta: {eta}" if eta else "",
            f"{'' if eta else ' '}iter: {storage.iter}",
            self._medians(storage, "loss"),
            self._medians(storage, "[metric]"),
            *_times(storage, self._window_size),
            f"lr: {rate}",
        ]
        if torch.cuda.is_available():
            parts.append(f"max_mem: {torch.cuda.max_memory_allocated() / 2**20:.0f}M")
        self.logger.info("  ".join(part for part in parts if part))

    def _medians(self, storage: EventStorage, marker: str) -> str:
        return "  ".join(
            f"{name}: {values.median(storage.count_samples(name, self._window_size)):.4g}"
            for name, values in storage.histories().items()
            if marker in name
        )

    def _eta(self, storage: EventStorage) -> str | None:
        """Time left as h:mm:ss; None while it cannot be told."""
        if self._max_iter is None:
            return None
        left = self._max_iter - storage.iter - 1
        if _has(storage, "time"):
            seconds = storage.history("time").median(1000) * left
            storage.put_scalar("eta_seconds", seconds, smoothing_hint=False)
            return str(datetime.timedelta(seconds=int(seconds)))
        last, self._last_write = self._last_write, (storage.iter, time.perf_counter())
        if last is None or last[0] == storage.iter:
            return None
        seconds = (self._last_write[1] - last[1]) / (storage.iter - last[0]) * left
        return str(datetime.timedelta(seconds=int(seconds)))


def _has(storage: EventStorage, name: str) -> bool:
    return name in storage.latest()


def _times(storage: EventStorage, window_size: int) -> list[str]:
    """Seconds per iteration, and seconds waited for data: mean and last."""
    parts = []
    if _has(storage, "time"):
        history = storage.history("time")
        parts += [f"time: {history.global_avg():.4f}", f"last_time: {history.latest():.4f}"]
    if _has(storage, "data_time"):
        history = storage.history("data_time")
        mean = history.avg(storage.count_samples("data_time", window_size))
        parts += [f"data_time: {mean:.4f}", f"last_data_time: {history.latest():.4f}"]
    return parts
