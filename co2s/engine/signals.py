"""SIGTERM, SIGUSR1, SIGUSR2: a run saves what it has and ends with exit code 75, to be resumed."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from co2s.d2 import HookBase, comm
from co2s.tool import STOPPED

from .hooks import is_complete

logger = logging.getLogger(__name__)

# SIGTERM is anybody's; one of the others is what Slurm is asked to send before a job's end.
_NAMES = ("SIGTERM", "SIGUSR1", "SIGUSR2")
SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
# One `scancel` reaches a process from several sides: what comes within this is one signal.
ONE_SIGNAL = 3.0  # seconds


class Listener:
    """What a process has been told, and whether it may end at once."""

    def __init__(self) -> None:
        self.told_at: float | None = None
        self.busy = False  # what was computed since the last checkpoint would be lost

    @property
    def told(self) -> bool:
        return self.told_at is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler; ends the process where nothing is lost, or at a second signal."""
        now = time.monotonic()
        if not self.busy or (self.told_at is not None and now - self.told_at > ONE_SIGNAL):
            raise SystemExit(STOPPED)
        self.told_at = self.told_at or now


listener = Listener()  # of this process


@contextmanager
def listening() -> Iterator[None]:
    """Let the signals end this process with exit code 75, or tell a training to."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may ask for signals
        return
    with handled_by(listener):
        yield


@contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """The signals go to a handler, and to those of before afterwards."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _ended_together(trainer: Any) -> bool:
    """Whether all processes have made the same steps; not where one of them has failed."""
    return is_complete(trainer) or isinstance(sys.exc_info()[1], SystemExit)


class StopOnSignal(HookBase):
    """Ends training after the step in which a process of the run got a signal, or the one after.

    All processes stop after the same step, whichever of them got it. What they say to each other
    travels during the next step, over gloo, so that no step waits for it: on one process the stop
    comes after the step that ran, on several one step later.
    """

    def __init__(self, save: Callable[[], None]) -> None:
        """save: saves the state after this step."""
        self.save = save
        self.group: Any = None
        self.flag = torch.zeros(1, dtype=torch.uint8)
        self.answer: Any = None  # of the flag that is under way
        self._listening: Any = None

    def before_train(self) -> None:
        if comm.get_world_size() > 1:
            self.group = dist.new_group(backend="gloo")
        self._listening = listening()
        self._listening.__enter__()
        listener.busy = True

    def after_step(self) -> None:
        if self.group is None:
            self._stop_if(listener.told)
            return
        if self._answered():
            self._stop_if(True)
        self.flag.fill_(listener.told)
        self.answer = dist.all_reduce(self.flag, dist.ReduceOp.MAX, self.group, async_op=True)

    def after_train(self) -> None:
        listener.busy, listener.told_at = False, None
        if self._listening is not None:
            self._listening.__exit__(None, None, None)
        if self.group is not None and _ended_together(self.trainer):
            self._answered()
            dist.destroy_process_group(self.group)  # its threads must not outlive the run
            self.group = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While all that was computed is saved: a signal ends the process without waiting."""
        self._stop_if(any(comm.all_gather(listener.told)))
        listener.busy = False
        if listener.told:  # since the processes have agreed
            raise SystemExit(STOPPED)
        try:
            yield
        finally:
            listener.busy = True

    def _answered(self) -> bool:
        """Whether any process had been told when the flag was sent."""
        if self.answer is None:
            return False
        self.answer.wait()
        self.answer = None
        return bool(self.flag.item())

    def _stop_if(self, told: bool) -> None:
        if not told:
            return
        self.save()
        comm.synchronize()  # nobody ends, and has the others ended, before all is written
        logger.warning(
            "Told to stop: saved after step %d. Go on with --resume.", self.trainer.iter + 1
        )
        raise SystemExit(STOPPED)
