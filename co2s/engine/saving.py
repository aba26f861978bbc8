"""The hook that saves checkpoints and keeps the last few of them."""

from pathlib import Path
from typing import Any

from co2s.d2 import HookBase, comm

from .checkpoints import numbered


class SaveCheckpoints(HookBase):
    """Saves every `period` steps, `model_0000099` after 100, and `model_final` after the last.

    Of the numbered ones the last `kept` stay, those of a run that was resumed included. Every
    process has this hook, the main one writes.
    """

    def __init__(self, checkpointer: Any, period: int, kept: int) -> None:
        """ValueError where none is to be kept."""
        if kept < 1:
            raise ValueError(
                f"SOLVER.CHECKPOINTS_KEPT is {kept}; a run needs 1 at least to go on from."
            )
        self.checkpointer, self.period, self.kept = checkpointer, period, kept
        self.saved = -1  # the last step whose state lies on the disk

    def before_train(self) -> None:
        start = self.trainer.start_iter
        self.saved = start - 1
        if start == self.trainer.max_iter:  # killed between the two files of the last step
            self.trainer.iter = start - 1
            self._save_final()
            self.trainer.iter = start

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if done % self.period == 0:
            self.save()
        if done == self.trainer.max_iter:
            self._save_final()

    def save(self) -> None:
        """Save the state after this step, unless that is done."""
        iteration = self.trainer.iter
        if iteration == self.saved:
            return
        self.checkpointer.save(f"model_{iteration:07d}", iteration=iteration)
        self.saved = iteration
        if comm.is_main_process():
            self._remove_old(iteration)

    def _save_final(self) -> None:
        self.checkpointer.save("model_final", iteration=self.trainer.iter)
        self.saved = self.trainer.iter

    def _remove_old(self, iteration: int) -> None:
        steps = numbered(Path(self.checkpointer.save_dir))
        # Later ones are damaged, or nothing would have been resumed before them.
        for step in sorted(step for step in steps if step <= iteration)[: -self.kept]:
            steps[step].unlink()
