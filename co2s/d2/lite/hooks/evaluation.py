"""The hook that evaluates during training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import comm
from ..train_loop import HookBase


class EvalHook(HookBase):
    """Calls a function every `eval_period` iterations and after the last, and stores its results.

    The function takes nothing and returns a nested dict of numbers, stored as "task/metric", or
    something empty. All processes must have the hook. A period of 0 leaves only the last call.
    """

    def __init__(
        self, eval_period: int, eval_function: Callable[[], Any], eval_after_train: bool = True
    ) -> None:
        self._period = eval_period
        self._func = eval_function
        self._eval_after_train = eval_after_train

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        # The last evaluation is after_train's.
        if self._period > 0 and done % self._period == 0 and done != self.trainer.max_iter:
            self._do_eval()

    def after_train(self) -> None:
        # Not after a failed training.
        if self._eval_after_train and self.trainer.iter + 1 >= self.trainer.max_iter:
            self._do_eval()
        # The function usually holds the trainer: let go of it.
        del self._func

    def _do_eval(self) -> None:
        results = self._func()
        if results:
            assert isinstance(results, dict), (
                f"The evaluation function must return a dict, got {results!r}."
            )
            numbers = {name: _number(name, value) for name, value in _flatten(results).items()}
            self.trainer.storage.put_scalars(**numbers, smoothing_hint=False)
        # Evaluation may take longer on one process; start the next iteration together.
        comm.synchronize()


def _flatten(results: Mapping[str, Any]) -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a/b": 1}"""
    flat: dict[str, Any] = {}
    for name, value in results.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}/{below}": number for below, number in _flatten(value).items()})
        else:
            flat[name] = value
    return flat


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The evaluation function must return a nested dict of numbers, got {name} = {value!r}."
        ) from error
