"""Jobs on a Ray cluster: one on each GPU, or on each CPU, of all its machines."""

import time

from co2s.ray_workers import Workers, connected

from .jobs import LOST, Ended, Job
from .process import Process

POLL = 0.2  # seconds


class Worker:
    """One slot of the cluster, where a job runs as a process of its own."""

    def __init__(self) -> None:
        self._process: Process | None = None

    def run(self, job: Job) -> Ended:
        """Returns when it has ended."""
        self._process = Process(job, {})  # Ray has set the GPU and the threads
        while (ended := self._process.poll()) is None:
            time.sleep(POLL)
        return ended

    def stop(self) -> None:
        """Let the job save and end; called while `run` runs."""
        if self._process is not None:
            self._process.stop()


class RayPool:
    """Slots of a running cluster, whose machines must see the data and the output.

    A worker that is lost with its machine is replaced, and its job has ended LOST.
    """

    def __init__(self, address: str = "auto") -> None:
        # Two calls at once: `run` and `stop`.
        self._workers = Workers(connected(address), Worker, max_concurrency=2)

    @property
    def free(self) -> int:
        return self._workers.free

    @property
    def busy(self) -> int:
        return len(self._workers.busy)

    def start(self, job: Job) -> None:
        self._workers.start(job, "run")

    def ended(self) -> list[Ended]:
        """Those that have ended since the last call."""
        answers = self._workers.answers()
        return [Ended(a.item, LOST, a.lost) if a.lost else a.said for a in answers]

    def stop(self) -> None:
        """Let all that run save and end."""
        for worker in self._workers.busy:
            worker.stop.remote()
