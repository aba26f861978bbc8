"""The standard training step: forward, backward, metrics, optimizer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import torch

from . import comm
from .events import get_event_storage
from .train_loop import TrainerBase


class SimpleTrainer(TrainerBase):
    """One model, one data stream, one optimizer.

    The model turns a batch into a dict of losses, which are summed. Every `gather_metric_period`
    iterations they are averaged over the processes and stored; a sum that is not finite raises
    FloatingPointError before the optimizer steps (with `async_write_metrics` one step later).
    """

    def __init__(
        self,
        model: torch.nn.Module,
        data_loader: Any,
        optimizer: torch.optim.Optimizer,
        gather_metric_period: int = 1,
        zero_grad_before_forward: bool = False,
        async_write_metrics: bool = False,
    ) -> None:
        super().__init__()
        model.train()
        self.model = model
        self.data_loader = data_loader
        self.optimizer = optimizer
        self.gather_metric_period = gather_metric_period
        self.zero_grad_before_forward = zero_grad_before_forward
        self.async_write_metrics = async_write_metrics
        self._data_loader_iter_obj: Iterator[Any] | None = None
        self._pending: Future[None] | None = None

    @cached_property
    def concurrent_executor(self) -> ThreadPoolExecutor:
        # One thread, so that metrics are written in the order of the iterations.
        return ThreadPoolExecutor(max_workers=1)

    @property
    def _data_loader_iter(self) -> Iterator[Any]:
        if self._data_loader_iter_obj is None:
            self._data_loader_iter_obj = iter(self.data_loader)
        return self._data_loader_iter_obj

    def reset_data_loader(self, data_loader_builder: Callable[[], Any]) -> None:
        """Drop the data loader, then build the new one."""
        del self.data_loader
        self._data_loader_iter_obj = None
        self.data_loader = data_loader_builder()

    def run_step(self) -> None:
        self._assert_training()
        data, data_time = self._next_batch()
        if self.zero_grad_before_forward:
            self.optimizer.zero_grad()
        total, losses = total_loss(self.model(data))
        if not self.zero_grad_before_forward:
            self.optimizer.zero_grad()
        total.backward()
        self.after_backward()
        self._report(losses, data_time)
        self.optimizer.step()

    def _assert_training(self) -> None:
        name = type(self).__name__
        assert self.model.training, f"[{name}] the model is in eval mode: call model.train() first."

    def _next_batch(self) -> tuple[Any, float]:
        """The next batch and the seconds waited for it."""
        start = time.perf_counter()
        data = next(self._data_loader_iter)
        return data, time.perf_counter() - start

    def _report(self, losses: Mapping[str, torch.Tensor], data_time: float) -> None:
        if not self.async_write_metrics:
            self._write_metrics(losses, data_time)
            return
        if self._pending is not None:
            self._pending.result()  # An error in the thread must not pass unseen.
        self._pending = self.concurrent_executor.submit(
            self._write_metrics, losses, data_time, iter=self.iter
        )

    def _write_metrics(
        self,
        loss_dict: Mapping[str, torch.Tensor],
        data_time: float,
        prefix: str = "",
        iter: int | None = None,  # noqa: A002
    ) -> None:
        iteration = self.iter if iter is None else iter
        if (iteration + 1) % self.gather_metric_period == 0:
            SimpleTrainer.write_metrics(loss_dict, data_time, iteration, prefix)

    @staticmethod
    def write_metrics(
        loss_dict: Mapping[str, torch.Tensor], data_time: float, cur_iter: int, prefix: str = ""
    ) -> None:
        """Store the losses, averaged over the processes, their sum, and the longest wait for data.

        Raises FloatingPointError where the sum is not finite.
        """
        storage = get_event_storage()
        storage.put_scalar("rank_data_time", data_time, cur_iter=cur_iter)
        own = {name: loss.detach().cpu().item() for name, loss in loss_dict.items()}
        gathered = comm.gather((own, data_time))
        if not comm.is_main_process():
            return
        # The slowest process is the one all others wait for.
        storage.put_scalar("data_time", max(wait for _, wait in gathered), cur_iter=cur_iter)
        mean = {name: float(np.mean([losses[name] for losses, _ in gathered])) for name in own}
        total = sum(mean.values())
        if not np.isfinite(total):
            raise FloatingPointError(
                f"Loss became infinite or NaN at iteration={cur_iter}!\nloss_dict = {mean}"
            )
        storage.put_scalar(f"{prefix}total_loss", total, cur_iter=cur_iter)
        if len(mean) > 1:
            for name, value in mean.items():
                storage.put_scalar(name, value, cur_iter=cur_iter)

    def after_train(self) -> None:
        if self._pending is not None:
            self.concurrent_executor.shutdown(wait=True)
        super().after_train()
        if self._pending is not None and self.iter == self.max_iter:
            self._pending.result()  # The last step's error; a failed training has raised its own.

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.optimizer.load_state_dict(state_dict["optimizer"])


def total_loss(output: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The sum to differentiate and the losses by name, from what a model returned."""
    if isinstance(output, torch.Tensor):
        return output, {"total_loss": output}
    return sum(output.values()), output
