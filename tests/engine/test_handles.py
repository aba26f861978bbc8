"""A long run holds no more files and threads than a short one."""

import os
import threading
from pathlib import Path

from co2s.d2 import HookBase
from co2s.engine import SemiSupervisedTrainer

STEPS = 60


class Count(HookBase):
    """Open files, threads and child processes after every step of one kind of work."""

    def __init__(self, found):
        self.found = found

    def after_step(self):
        if (self.trainer.iter + 1) % 10 == 0:
            files = len(os.listdir("/proc/self/fd"))
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            self.found.append((files, threading.active_count(), len(children)))


def test_files_threads_and_processes_stay_as_many(toy_cfg, train):
    """With evaluations, checkpoints and lines written in between."""
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.CHECKPOINT_PERIOD = STEPS, 5
    toy_cfg.TEST.EVAL_PERIOD = 10
    toy_cfg.TEST.CALIBRATE = False
    toy_cfg.TEST.SNAPSHOTS = 0
    toy_cfg.DATALOADER.NUM_WORKERS = 1
    found = []

    class Counted(SemiSupervisedTrainer):
        def build_hooks(self):
            return [*super().build_hooks(), Count(found)]

    train(toy_cfg, kind=Counted)
    assert len(found) == STEPS // 10
    for kind in zip(*found[1:], strict=True):  # TensorBoard opens its own at the first line
        # One count may meet a file that is open for a moment; what leaks stays in all that follow.
        assert min(kind[-2:]) <= max(kind[:2]), found
