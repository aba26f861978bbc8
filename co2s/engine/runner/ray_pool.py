"""Jobs on a Ray cluster: one on each GPU, or on each CPU, of all its machines."""

import time
from typing import Any

from co2s.optional import import_extra

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


def connected(address: str) -> Any:
    """The package ray, connected to a running cluster; ValueError where there is none."""
    ray = import_extra("ray", "ray")
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False)
        except ConnectionError as error:
            raise ValueError(
                f"--ray {address}: no Ray cluster is there ({error}). Start one: ray start --head"
            ) from error
    return ray


class RayPool:
    """Slots of a running cluster, whose machines must see the data and the output.

    A worker that is lost with its machine is replaced, and its job has ended LOST.
    """

    def __init__(self, address: str = "auto") -> None:
        self._ray = connected(address)
        resources = self._ray.cluster_resources()
        kind = "GPU" if resources.get("GPU") else "CPU"
        own = {f"num_{kind.lower()}s": 1, "max_concurrency": 2}  # `run` and `stop`
        self._kind = self._ray.remote(**own)(Worker)
        self._free = [self._kind.remote() for _ in range(max(int(resources.get(kind, 1)), 1))]
        self._busy: dict[Any, tuple[Any, Job]] = {}

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def busy(self) -> int:
        return len(self._busy)

    def start(self, job: Job) -> None:
        worker = self._free.pop()
        self._busy[worker.run.remote(job)] = worker, job

    def ended(self) -> list[Ended]:
        """Those that have ended since the last call."""
        futures = [*self._busy]
        done, _ = self._ray.wait(futures, num_returns=len(futures), timeout=0)
        return [self._take(future) for future in done]

    def stop(self) -> None:
        """Let all that run save and end."""
        for worker, _ in self._busy.values():
            worker.stop.remote()

    def _take(self, future: Any) -> Ended:
        worker, job = self._busy.pop(future)
        try:
            ended: Ended = self._ray.get(future)
        except self._ray.exceptions.RayActorError as error:
            self._free.append(self._kind.remote())
            return Ended(job, LOST, str(error).splitlines()[0])
        self._free.append(worker)
        return ended
