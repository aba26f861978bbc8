"""Many scenes on a Ray cluster: an actor for each GPU or CPU, a scene is a task."""

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from co2s.engine.runner.ray_pool import connected
from co2s.errors import is_mendable

from .run import Job, Outcome, Predictor, ends_everything
from .sources import Source

logger = logging.getLogger(__name__)

TRIES = 3  # of a scene whose worker is lost
LEFT, MADE, FAILED, ENDED = "left", "made", "failed", "ended"  # what a worker says of a scene


class Worker:
    """Holds the model on one slot of the cluster."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._predictor: Predictor | None = None

    def predict(self, source: Source) -> tuple[str, str]:
        """What became of a scene, and why where it failed."""
        try:
            self._predictor = self._predictor or Predictor(self._job)
        except Exception as error:  # the model is the same for every scene
            if not is_mendable(error):
                raise
            return ENDED, str(error)
        if self._predictor.finished(source):
            return LEFT, ""
        try:
            self._predictor.predict(source)
            return MADE, ""
        except Exception as error:
            if not is_mendable(error):
                raise
            return (ENDED if ends_everything(error) else FAILED), str(error)


def predict_on_ray(job: Job, sources: Sequence[Source], address: str = "auto") -> Outcome:
    """`predict_all` on all slots of a running cluster, which must see the scenes and the output.

    A scene whose worker is lost is given to another one, and a new worker takes the place.
    """
    ray = connected(address)
    pool = _Pool(ray, job, len(sources))
    waiting, tries = deque(sources), dict.fromkeys(sources, 0)
    outcome = Outcome()
    with tqdm(total=len(sources), desc="scenes", disable=None) as scenes:
        while waiting or pool.busy:
            while waiting and pool.free:
                pool.start(waiting.popleft())
            source, (said, why) = pool.next()
            if said == "lost":
                tries[source] += 1
                if tries[source] < TRIES:
                    logger.warning("A worker was lost with %s: again elsewhere.", source.path)
                    waiting.append(source)
                    continue
                said, why = FAILED, f"its worker was lost {TRIES} times: {why}"
            if said == ENDED:
                raise ValueError(why)
            _note(outcome, source, said, why)
            scenes.update()
    return outcome


def _note(outcome: Outcome, source: Source, said: str, why: str) -> None:
    outcome.made += said == MADE
    outcome.left += said == LEFT
    if said == FAILED:
        outcome.failed[source.path] = why
        logger.warning("%s failed: %s", source.path, why)


class _Pool:
    """The workers of a run, and what they are at."""

    def __init__(self, ray: Any, job: Job, most: int) -> None:
        resources = ray.cluster_resources()
        kind = "num_gpus" if resources.get("GPU") else "num_cpus"
        slots = int(resources.get("GPU" if kind == "num_gpus" else "CPU", 1))
        self._ray, self._job = ray, job
        self._kind = ray.remote(**{kind: 1})(Worker)
        self.free = [self._new() for _ in range(max(min(slots, most), 1))]
        self.busy: dict[Any, tuple[Any, Source]] = {}
        logger.info("Ray: %d workers on the %s of the cluster.", len(self.free), kind[4:].upper())

    def _new(self) -> Any:
        return self._kind.remote(self._job)

    def start(self, source: Source) -> None:
        worker = self.free.pop()
        self.busy[worker.predict.remote(source)] = worker, source

    def next(self) -> tuple[Source, tuple[str, str]]:
        """The next scene that is through, and what its worker says."""
        (done,), _ = self._ray.wait([*self.busy], num_returns=1)
        worker, source = self.busy.pop(done)
        try:
            said = self._ray.get(done)
        except self._ray.exceptions.RayActorError as error:
            self.free.append(self._new())
            return source, ("lost", str(error).splitlines()[0])
        self.free.append(worker)
        return source, said
