"""SemiSupervisedTrainer: pairs labelled and unlabelled batches, steps, and knows no method."""

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from co2s.d2 import (
    AMPTrainer,
    CfgNode,
    DetectionCheckpointer,
    SimpleTrainer,
    TrainerBase,
    build_model,
    comm,
    create_ddp_model,
    default_writers,
    hooks,
)
from co2s.data import build_train_loader
from co2s.evaluation import write_run_pictures
from co2s.solver import build_lr_scheduler, build_optimizer

from .score import score

logger = logging.getLogger(__name__)

BEST = "model_best"


class SemiSupervisedTrainer(TrainerBase):
    """Trains any registered meta-architecture on {"labeled": items, "unlabeled": items}.

    The counterpart of detectron2's DefaultTrainer: the model returns a dict of weighted losses,
    their sum is stepped on. Every draw of the data is numbered, so that a resumed run goes on as
    if it had never stopped.
    """

    def __init__(self, cfg: CfgNode):
        super().__init__()
        self.cfg = cfg
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        model = build_model(cfg)
        self.optimizer = build_optimizer(cfg, model)
        self.scheduler = build_lr_scheduler(cfg, self.optimizer)
        log_parameters(model)
        # On the CPU there are no device ids, and the default would name GPUs.
        ids = [comm.get_local_rank()] if cfg.MODEL.DEVICE.startswith("cuda") else None
        model = create_ddp_model(model, broadcast_buffers=False, device_ids=ids)
        stepper = AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer
        self._trainer = stepper(model, _Batches(self), self.optimizer)
        self.checkpointer = DetectionCheckpointer(model, cfg.OUTPUT_DIR, trainer=self)
        self.register_hooks(self.build_hooks())

    @property
    def model(self) -> nn.Module:
        return self._trainer.model

    def build_hooks(self) -> list[Any]:
        """In order: time and schedule; save; evaluate, then judge what was saved; write last."""
        cfg = self.cfg
        chosen_on = cfg.DATASETS.VAL or cfg.DATASETS.TEST
        result = [hooks.IterationTimer(), hooks.LRScheduler(self.optimizer, self.scheduler)]
        if comm.is_main_process():
            period = cfg.SOLVER.CHECKPOINT_PERIOD
            result.append(hooks.PeriodicCheckpointer(self.checkpointer, period, max_to_keep=2))
        if chosen_on and cfg.TEST.EVAL_PERIOD > 0:
            period = cfg.TEST.EVAL_PERIOD
            result.append(hooks.EvalHook(period, lambda: score(cfg, self.model, chosen_on)))
            if comm.is_main_process():
                metric = "fused/mIoU" if len(chosen_on) == 1 else f"{chosen_on[0]}/fused/mIoU"
                best = hooks.BestCheckpointer(period, self.checkpointer, metric, "max", BEST)
                result.append(best)
        if comm.is_main_process():
            writers = default_writers(cfg.OUTPUT_DIR, self.max_iter)
            result.append(hooks.PeriodicWriter(writers, period=20))
        return result

    def resume_or_load(self, resume: bool = True) -> None:
        """Go on from the last checkpoint of OUTPUT_DIR, or start from MODEL.WEIGHTS."""
        self.checkpointer.resume_or_load(self.cfg.MODEL.WEIGHTS, resume=resume)
        if resume and self.checkpointer.has_checkpoint():
            self.start_iter = self.iter + 1

    def train(self) -> dict[str, Any]:  # type: ignore[override]
        """Train, then score the best checkpoint on DATASETS.TEST, with pictures."""
        super().train(self.start_iter, self.max_iter)
        return self.report()

    def report(self) -> dict[str, Any]:
        """Scores of the best checkpoint where one was chosen, else of the model as it is."""
        cfg = self.cfg
        if not cfg.DATASETS.TEST:
            return {}
        comm.synchronize()
        if cfg.TEST.EVAL_PERIOD > 0:
            self.checkpointer.load(f"{cfg.OUTPUT_DIR}/{BEST}.pth", checkpointables=[])
            if not cfg.DATASETS.VAL:
                logger.info("The best checkpoint was chosen on the very set that is reported.")
        results = score(cfg, self.model, cfg.DATASETS.TEST, panels=cfg.TEST.PANELS)
        if comm.is_main_process():
            write_run_pictures(cfg.OUTPUT_DIR)
        return results

    def run_step(self) -> None:
        self._trainer.iter = self.iter
        self._trainer.run_step()

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs besides the model: step, hooks, optimiser, scaler."""
        return super().state_dict() | {"_trainer": self._trainer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._trainer.load_state_dict(state_dict["_trainer"])


class _Batches:
    """The paired batches from the trainer's first step on; read when training starts."""

    def __init__(self, trainer: SemiSupervisedTrainer):
        self._trainer = trainer

    def __iter__(self) -> Iterator[dict[str, list[dict[str, Any]]]]:
        return iter(build_train_loader(self._trainer.cfg, start_iter=self._trainer.start_iter))


def log_parameters(model: nn.Module) -> None:
    """Log trainable and all parameters of each student, in millions."""
    for name, student in getattr(model, "students", {"model": model}).items():
        parameters: list[torch.nn.Parameter] = list(student.parameters())
        trained = sum(p.numel() for p in parameters if p.requires_grad)
        total = sum(p.numel() for p in parameters)
        logger.info("%s: %.1f M of %.1f M parameters trained", name, trained / 1e6, total / 1e6)
