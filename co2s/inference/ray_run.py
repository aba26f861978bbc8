"""Many scenes on a Ray cluster: an actor for each GPU or CPU, a scene is a task."""

import logging
from collections import deque
from collections.abc import Sequence

from tqdm import tqdm

from co2s.errors import is_mendable
from co2s.ray_workers import Workers, connected

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
    workers = Workers(connected(address), Worker, job, most=len(sources))
    logger.info("Ray: %d workers on the %ss of the cluster.", workers.free, workers.slot)
    waiting, tries = deque(sources), dict.fromkeys(sources, 0)
    outcome = Outcome()
    with tqdm(total=len(sources), desc="scenes", disable=None) as scenes:
        while waiting or workers.busy:
            while waiting and workers.free:
                workers.start(waiting.popleft(), "predict")
            (answer,) = workers.answers(least=1)
            source = answer.item
            said, why = answer.said or (FAILED, f"its worker was lost {TRIES} times: {answer.lost}")
            tries[source] += bool(answer.lost)
            if answer.lost and tries[source] < TRIES:
                logger.warning("A worker was lost with %s: again elsewhere.", source.path)
                waiting.append(source)
                continue
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
