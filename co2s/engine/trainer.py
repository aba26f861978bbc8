"""SemiSupervisedTrainer: pairs labelled and unlabelled batches, steps, and knows no method."""

import logging
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from co2s.d2 import (
    META_ARCH_REGISTRY,
    CfgNode,
    DatasetEvaluators,
    TrainerBase,
    build_model,
    comm,
    create_ddp_model,
    default_writers,
    hooks,
    inference_on_dataset,
)
from co2s.data import BadFiles, build_test_loader, build_train_loader
from co2s.data.carried import facts_of
from co2s.evaluation import MAIN, PanelWriter, SegmentationEvaluator, write_run_pictures
from co2s.modeling.metadata import declared_classes
from co2s.solver import build_lr_scheduler, build_optimizer
from co2s.structures import Batch

from .bad_files import BadFilesFound
from .calibration import calibrate
from .checkpoints import (
    WholeCheckpointer,
    best_checkpoint,
    best_score,
    clear_drafts,
    last_checkpoint,
    put_aside,
    started_from,
)
from .drift import Drift
from .facts import RunFacts
from .hooks import EnoughEvaluations, EvaluateAndKeepBest
from .report import REPORT, draw_page, reported_steps, write_report
from .saving import SaveCheckpoints
from .signals import StopOnSignal
from .snapshots import Snapshots
from .step import Stepper, build_scaler
from .trackers import check_trackers, tracker_writers
from .twin import write_twin
from .writers import RecentScalars, WriteScalars, cut_unfinished_line

logger = logging.getLogger(__name__)

LOG_PERIOD = 20  # steps


class SemiSupervisedTrainer(TrainerBase):
    """Trains any registered method on {"labeled": items, "unlabeled": items}.

    The counterpart of detectron2's DefaultTrainer, with its class methods to be replaced in a
    project: `build_model`, `build_optimizer`, `build_lr_scheduler`, `build_train_loader`,
    `build_test_loader`, `build_evaluator`, `test`. The method returns a dict of weighted losses,
    their sum is stepped on. Every draw of the data is numbered, so that a resumed run goes on as
    if it had never stopped.
    """

    def __init__(self, cfg: CfgNode, *, resume: bool = False):
        """resume: the last checkpoint will be loaded; no pretrained file is asked for then."""
        super().__init__()
        self.cfg = cfg
        self.start_iter, self.max_iter = 0, cfg.SOLVER.MAX_ITER
        self.made = 0  # steps
        last = last_checkpoint(cfg) if resume else ""
        self.method: Any = self.build_model(started_from(cfg, last) if last else cfg)
        self.optimizer = self.build_optimizer(cfg, self.method)
        self.scheduler = self.build_lr_scheduler(cfg, self.optimizer)
        # On the CPU there are no device ids, and the default would name GPUs.
        ids = [comm.get_local_rank()] if cfg.MODEL.DEVICE.startswith("cuda") else None
        model = create_ddp_model(self.method, broadcast_buffers=False, device_ids=ids)
        self._trainer = Stepper(
            model,
            self.method,
            _Batches(self),
            self.optimizer,
            accumulate=cfg.SOLVER.ACCUMULATE,
            scaler=build_scaler(cfg),
        )
        self.checkpointer = WholeCheckpointer(model, cfg.OUTPUT_DIR, trainer=self)
        self.checkpointer.facts = facts_of((*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST))
        self.keeper: EvaluateAndKeepBest | None = None
        self.bad_files: BadFiles | None = None  # those that the training has met
        self.register_hooks(self.build_hooks())

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        model = build_model(cfg)
        log_parameters(model)
        return model

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        return build_optimizer(cfg, model)

    @classmethod
    def build_lr_scheduler(cls, cfg: CfgNode, optimizer: torch.optim.Optimizer) -> Any:
        return build_lr_scheduler(cfg, optimizer)

    @classmethod
    def build_train_loader(cls, cfg: CfgNode, start_iter: int = 0) -> Iterable[Batch]:
        """Endless batches of what the method wants to see, from step `start_iter` on."""
        views = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE).views(cfg)
        return build_train_loader(cfg, views, start_iter)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> DataLoader:
        return build_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(
        cls, cfg: CfgNode, dataset_name: str, output_folder: str | None = None, panels: int = 0
    ) -> DatasetEvaluators:
        """Scores, and panels of that many images, into a folder (inference/<dataset_name>)."""
        folder = output_folder or os.path.join(cfg.OUTPUT_DIR, "inference", dataset_name)
        evaluators: list[Any] = [
            SegmentationEvaluator(
                dataset_name,
                folder,
                absent_as_zero=cfg.TEST.ABSENT_AS_ZERO,
                boundary_tolerance=cfg.TEST.BOUNDARY_TOLERANCE,
            )
        ]
        if panels:
            evaluators.append(PanelWriter(dataset_name, folder, count=panels))
        return DatasetEvaluators(evaluators)

    @classmethod
    def test(
        cls, cfg: CfgNode, model: nn.Module, datasets: Sequence[str] = (), panels: int = 0
    ) -> "OrderedDict[str, Any]":
        """Score a model on datasets (DATASETS.TEST), each image once over all processes.

        Writes <OUTPUT_DIR>/inference/<dataset>/scores.json. Returns {"<prediction>": {"mIoU":
        ...}, ...}, by dataset where there are several; nothing on every process but the first.
        """
        results: OrderedDict[str, Any] = OrderedDict()
        for name in datasets or cfg.DATASETS.TEST:
            evaluator = cls.build_evaluator(cfg, name, panels=panels)
            loader = cls.build_test_loader(cfg, name)
            results[name] = inference_on_dataset(model, loader, evaluator) or {}
        return next(iter(results.values())) if len(results) == 1 else results

    @property
    def model(self) -> nn.Module:
        """The method, in DistributedDataParallel where there are several processes."""
        return self._trainer.model

    def build_hooks(self) -> list[Any]:
        """In order: measure; save; stop if told to; evaluate, then judge what was saved; write.

        What a checkpoint must know of a step comes before what saves.
        """
        cfg = self.cfg
        check_trackers(cfg)
        chosen_on = cfg.DATASETS.VAL or cfg.DATASETS.TEST
        result = [hooks.IterationTimer(), hooks.LRScheduler(self.optimizer, self.scheduler)]
        names, filters = declared_classes(cfg).names, len(self.method.thresholds) > 0
        result.append(Drift(self.method, names, LOG_PERIOD, filters))
        result += [RecentScalars(), BadFilesFound(cfg.OUTPUT_DIR, LOG_PERIOD)]
        if comm.is_main_process():
            result.append(Snapshots(self.method, lambda: self._trainer.batches, cfg))
        period, kept = cfg.SOLVER.CHECKPOINT_PERIOD, cfg.SOLVER.CHECKPOINTS_KEPT
        self.saver = SaveCheckpoints(self.checkpointer, period, kept)
        self.stop = StopOnSignal(self.saver.save)
        result += [self.saver, self.stop]
        if chosen_on and cfg.TEST.EVAL_PERIOD > 0:
            metric = f"{MAIN}/mIoU" if len(chosen_on) == 1 else f"{chosen_on[0]}/{MAIN}/mIoU"
            self.keeper = EvaluateAndKeepBest(
                cfg.TEST.EVAL_PERIOD,
                lambda: self._evaluate(chosen_on),
                self.checkpointer,
                metric,
                cfg.TEST.EARLY_STOPPING,
            )
            result.append(self.keeper)
        if comm.is_main_process():
            result.append(RunFacts(cfg, self.method))
            result.append(WriteScalars(self._writers, LOG_PERIOD))
        return result

    def _writers(self) -> list[Any]:
        """Console, metrics.json, TensorBoard, and the trackers that the configuration names."""
        folder = self.cfg.OUTPUT_DIR
        cut_unfinished_line(Path(folder, "metrics.json"))
        return [*default_writers(folder, self.max_iter), *tracker_writers(self.cfg)]

    def _evaluate(self, names: Sequence[str]) -> dict[str, Any]:
        """Scores on datasets; all is saved before, so that a signal need not wait for them."""
        self.saver.save()
        with self.stop.at_once():
            return self.test(self.cfg, self.model, names)

    def resume_or_load(self, resume: bool = True) -> None:
        """Go on from the last checkpoint of OUTPUT_DIR, or start from MODEL.WEIGHTS."""
        self.checkpointer.resume_or_load(self.cfg.MODEL.WEIGHTS, resume=resume)
        if resume and self.checkpointer.has_checkpoint():
            self.start_iter = self.made = self.iter + 1

    def train(self) -> dict[str, Any]:  # type: ignore[override]
        """Train what is left, then score the best checkpoint on DATASETS.TEST, with pictures."""
        if comm.is_main_process():
            clear_drafts(Path(self.cfg.OUTPUT_DIR))
        if self._is_through():
            logger.info("All %d steps are made already: only reporting.", self.start_iter)
        else:
            if comm.is_main_process():
                self._make_ready()
            self.method.temperatures.set({})  # those of a checkpoint are of a former model
            with suppress(EnoughEvaluations):  # the hook has said so
                super().train(self.start_iter, self.max_iter)
            self.made = min(self.iter + 1, self.max_iter)
        return self.report()

    def _is_through(self) -> bool:
        """Whether the steps that are made were reported, and no more are to come."""
        if not comm.is_main_process():
            return comm.all_gather(None)[0]
        best, steps = best_score(best_checkpoint(self.cfg)), self.start_iter
        if early := self.keeper is not None and steps > 0:
            self.keeper.best = best
            early = self.keeper.is_enough(steps)
        done = early or steps >= self.max_iter
        return comm.all_gather(done and reported_steps(self.cfg) == steps)[0]

    def _make_ready(self) -> None:
        """OUTPUT_DIR for a training: of this run, and with no report before it is through."""
        folder = Path(self.cfg.OUTPUT_DIR)
        if self.start_iter == 0:
            put_aside(folder)
        (folder / REPORT).unlink(missing_ok=True)

    def report(self) -> dict[str, Any]:
        """Scores of the best checkpoint where one was chosen, else of the model as it is."""
        cfg = self.cfg
        if not cfg.DATASETS.TEST:
            if comm.is_main_process():
                draw_page(cfg)
            return {}
        best = self._best()
        chosen = any(comm.all_gather(best is not None))
        if chosen:
            self.checkpointer.load(best_checkpoint(cfg), checkpointables=[])
            if not cfg.DATASETS.VAL:
                logger.info("The best checkpoint was chosen on the very set that is reported.")
        if cfg.TEST.CALIBRATE:
            calibrate(self, best_checkpoint(cfg) if chosen else last_checkpoint(cfg))
        results = self.test(cfg, self.model, panels=cfg.TEST.PANELS)
        if comm.is_main_process():
            write_report(cfg, results, best, self.made)
            write_run_pictures(cfg.OUTPUT_DIR)
            write_twin(cfg)
            draw_page(cfg)
        return results

    def _best(self) -> dict[str, Any] | None:
        """How the best checkpoint was chosen; None: none was, or this is not the main process."""
        if self.keeper is None or not comm.is_main_process():
            return None
        return best_score(best_checkpoint(self.cfg))

    def run_step(self) -> None:
        self._trainer.iter = self.iter
        self._trainer.run_step()
        self.method.after_step(self.iter)

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

    def __iter__(self) -> Iterator[Batch]:
        trainer = self._trainer
        loader = trainer.build_train_loader(trainer.cfg, start_iter=trainer.start_iter)
        trainer.bad_files = getattr(loader, "bad_files", None)
        return iter(loader)


def log_parameters(model: nn.Module) -> None:
    """Log trainable and all parameters of each student, in millions."""
    for name, student in getattr(model, "students", {"model": model}).items():
        parameters: list[torch.nn.Parameter] = list(student.parameters())
        trained = sum(p.numel() for p in parameters if p.requires_grad)
        total = sum(p.numel() for p in parameters)
        logger.info("%s: %.1f M of %.1f M parameters trained", name, trained / 1e6, total / 1e6)
