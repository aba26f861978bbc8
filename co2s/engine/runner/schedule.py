"""The runner's loop: starts jobs on free slots until all have ended, or it is told to stop."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

from ..signals import handled_by
from .jobs import DONE, HELD, LOST, STOPPED, Ended, Job

POLL = 0.2  # seconds between two looks at what runs
PATIENCE = 2.0  # seconds until a job that another runner holds is tried again
TRIES = 3  # of a job whose machine is lost

Say = Callable[[str], None]


class Pool(Protocol):
    """Where jobs run."""

    @property
    def free(self) -> int: ...

    @property
    def busy(self) -> int: ...

    def start(self, job: Job) -> None: ...

    def ended(self) -> list[Ended]: ...

    def stop(self) -> None: ...


@dataclass
class Outcome:
    """What became of all jobs: why some failed, and whether a signal ended it."""

    failed: dict[str, str] = field(default_factory=dict)  # by name
    stopped: bool = False


@dataclass
class _Waiting:
    job: Job
    since: float = 0.0  # not to be tried before
    tries: int = 0
    told: bool = False  # that another runner makes it


class Schedule:
    """Runs jobs; each is tried once, again where it is held elsewhere or its machine was lost."""

    def __init__(self, pool: Pool, say: Say, done: Callable[[Job], object]) -> None:
        """done: called with each job that is through."""
        self._pool, self._say, self._done = pool, say, done
        self._waiting: list[_Waiting] = []
        self._running: dict[str, _Waiting] = {}
        self._outcome = Outcome()
        self._signals = self._passed_on = 0

    def run(self, jobs: Sequence[Job]) -> Outcome:
        """Returns when all have ended. A signal (Ctrl-C, SIGTERM) is passed on to what runs, and
        no more are started; a second one is passed on, too."""
        self._waiting = [_Waiting(job) for job in jobs]
        with self._listening():
            try:
                while self._waiting or self._pool.busy:
                    self._turn()
            except BaseException:
                self._pool.stop()
                raise
        return self._outcome

    def _turn(self) -> None:
        if self._passed_on < self._signals:
            self._passed_on = self._signals
            self._stop()
        self._start()
        ended = self._pool.ended() if self._pool.busy else []
        for one in ended:
            self._note(one, self._running.pop(one.job.name))
        if not ended:
            time.sleep(POLL)

    def _start(self) -> None:
        now = time.monotonic()
        for waiting in [w for w in self._waiting if w.since <= now][: self._pool.free]:
            self._waiting.remove(waiting)
            self._running[waiting.job.name] = waiting
            self._pool.start(waiting.job)

    def _note(self, ended: Ended, waiting: _Waiting) -> None:
        name = ended.job.name
        if ended.what == DONE:
            self._say(f"{name}: done")
            self._done(ended.job)
        elif ended.what == HELD and not self._outcome.stopped:
            if not waiting.told:
                self._say(f"{name}: {ended.why} makes it; waiting for that")
            later = time.monotonic() + PATIENCE
            self._waiting.append(_Waiting(ended.job, later, waiting.tries, told=True))
        elif ended.what == LOST and waiting.tries + 1 < TRIES and not self._outcome.stopped:
            self._say(f"{name}: its worker was lost: again elsewhere")
            self._waiting.append(_Waiting(ended.job, 0.0, waiting.tries + 1))
        elif self._outcome.stopped and ended.what in (STOPPED, HELD, LOST):
            self._say(f"{name}: stopped")
        else:
            self._say(f"{name}: failed: {ended.why}")
            self._outcome.failed[name] = ended.why

    def _stop(self) -> None:
        if not self._outcome.stopped:
            self._say(f"Told to stop: what runs ({self._pool.busy}) saves what it has and ends.")
        self._outcome.stopped = True
        self._waiting.clear()
        self._pool.stop()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        before = signal.signal(signal.SIGINT, self._heard)
        try:
            with handled_by(self._heard):
                yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
