"""Running a model over a data set, with a clock."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from . import comm
from .evaluation import DatasetEvaluator, DatasetEvaluators
from .logger import get_logger, log_every_n_seconds

_logger = get_logger("evaluation.evaluator")


@contextmanager
def inference_context(model: nn.Module) -> Iterator[None]:
    """The model in eval mode inside, as it was before afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def inference_on_dataset(
    model: Any,
    data_loader: Any,
    evaluator: DatasetEvaluator | list[DatasetEvaluator] | None,
    callbacks: dict[str, Callable[[], Any]] | None = None,
) -> dict[str, Any]:
    """Run `model` over `data_loader` (which has a length) and return the evaluator's results.

    An nn.Module is in eval mode meanwhile. `evaluator` None only measures the speed. `callbacks`
    may have on_start, before_inference, after_inference, on_end.
    """
    total = len(data_loader)
    _logger.info("Start inference on %d batches", total)
    if evaluator is None or isinstance(evaluator, MutableSequence):
        evaluator = DatasetEvaluators(evaluator or [])
    evaluator.reset()
    clock = _Clock(total)
    mode = inference_context(model) if isinstance(model, nn.Module) else nullcontext()
    with mode, torch.no_grad():
        _run(model, data_loader, evaluator, callbacks or {}, clock)
    clock.summarize()
    results = evaluator.evaluate()
    return {} if results is None else results


def _run(
    model: Any,
    data_loader: Any,
    evaluator: DatasetEvaluator,
    callbacks: Mapping[str, Callable[[], Any]],
    clock: _Clock,
) -> None:
    def call(name: str) -> None:
        callbacks.get(name, lambda: None)()

    call("on_start")
    clock.lap()
    for index, inputs in enumerate(data_loader):
        clock.count("Dataloading")
        if index == clock.warmup:
            clock.restart()
        call("before_inference")
        outputs = model(inputs)
        call("after_inference")
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # Otherwise the evaluator is charged with the model's time.
        clock.count("Inference")
        evaluator.process(inputs, outputs)
        clock.count("Eval")
        clock.report(index)
    call("on_end")


class _Clock:
    """Seconds spent on data, model and evaluator; the first batches are not counted."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.warmup = min(5, total - 1)
        self.restart()

    def restart(self) -> None:
        self._spent = {"Dataloading": 0.0, "Inference": 0.0, "Eval": 0.0}
        self._start = self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return passed

    def count(self, part: str) -> None:
        self._spent[part] += self.lap()

    def report(self, index: int) -> None:
        """Log the progress now and then."""
        done = index + 1 - (self.warmup if index >= self.warmup else 0)
        if index < 2 * self.warmup and self._spent["Inference"] / done <= 5:
            return
        parts = "".join(f"{part}: {s / done:.4f} s/iter. " for part, s in self._spent.items())
        each = (time.perf_counter() - self._start) / done
        left = datetime.timedelta(seconds=int(each * (self.total - index - 1)))
        message = f"Inference done {index + 1}/{self.total}. {parts}Total: {each:.4f} s/iter. "
        log_every_n_seconds(_logger, f"{message}ETA={left}", 5)

    def summarize(self) -> None:
        seconds = {
            "inference time": time.perf_counter() - self._start,
            "inference pure compute time": self._spent["Inference"],
        }
        for name, spent in seconds.items():
            each = spent / max(self.total - self.warmup, 1)
            _logger.info(
                f"Total {name}: {datetime.timedelta(seconds=int(spent))} "
                f"({each:.6f} s / iter per device, on {comm.get_world_size()} devices)"
            )
