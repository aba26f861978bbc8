"""One training step: batches, losses, gradients, optimiser."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from co2s.d2 import CfgNode, SimpleTrainer
from co2s.structures import Batch


class Stepper(SimpleTrainer):
    """detectron2's SimpleTrainer, for steps of one batch or of several one after another.

    The losses of several batches are means over the pixels of all of them, which the method counts
    first (`Method.count`): a step is the same however its items are shared out over batches and
    processes. Processes exchange gradients once a step. With fp16 the loss is scaled.
    """

    def __init__(
        self,
        model: nn.Module,
        method: Any,
        data_loader: Any,
        optimizer: torch.optim.Optimizer,
        *,
        accumulate: int = 1,
        scaler: "torch.amp.GradScaler | None" = None,
    ):
        """model: the method, in DistributedDataParallel where there are several processes."""
        super().__init__(model, data_loader, optimizer)
        self.method, self.accumulate, self.scaler = method, accumulate, scaler
        self.batches: list[Batch] = []  # of the last step

    def run_step(self) -> None:
        assert self.model.training, "The model is in evaluation mode: call model.train() first."
        start = time.perf_counter()
        self.batches = [next(self._data_loader_iter) for _ in range(self.accumulate)]
        data_time = time.perf_counter() - start
        self.optimizer.zero_grad()
        losses = self._gradients()
        self.after_backward()
        self._write_metrics(losses, data_time)  # raises where they are not finite
        self._update()

    def _gradients(self) -> dict[str, Tensor]:
        """Add up the gradients of all batches; their losses, added up too."""
        if self.accumulate > 1:
            counts = self.method.count(self.batches)
            self.batches = [{**batch, "counts": counts} for batch in self.batches]
        sums: dict[str, Tensor] = {}
        for number, batch in enumerate(self.batches, start=1):
            with self._exchange(number == self.accumulate):
                losses = self.model(batch)
                total = sum(losses.values())
                (self.scaler.scale(total) if self.scaler else total).backward()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss.detach()
        return sums

    def _exchange(self, last: bool) -> AbstractContextManager:
        if isinstance(self.model, DistributedDataParallel) and not last:
            return self.model.no_sync()
        return nullcontext()

    def _update(self) -> None:
        if self.scaler is None:
            self.optimizer.step()
            return
        self.scaler.unscale_(self.optimizer)  # before the optimiser's hooks clip them
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        own = {} if self.scaler is None else {"grad_scaler": self.scaler.state_dict()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if self.scaler is not None and "grad_scaler" in state_dict:
            self.scaler.load_state_dict(state_dict["grad_scaler"])


def build_scaler(cfg: CfgNode) -> "torch.amp.GradScaler | None":
    """The scaler of the losses that fp16 needs; None in any other precision."""
    amp = cfg.SOLVER.AMP
    if not (amp.ENABLED and amp.DTYPE == "fp16"):
        return None
    return torch.amp.GradScaler(torch.device(cfg.MODEL.DEVICE).type)
