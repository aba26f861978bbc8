"""Workers on a Ray cluster: one on each GPU, or on each CPU; one that is lost is replaced."""

from functools import partial
from typing import Any, NamedTuple

from co2s.optional import import_extra


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


class Answer(NamedTuple):
    """What a worker says of what it was given; lost: why it says nothing, "" where it does."""

    item: Any
    said: Any
    lost: str


class Workers:
    """Actors of one class on the slots of a cluster, and what they are at."""

    def __init__(
        self, ray: Any, kind: type, *arguments: Any, most: int | None = None, **options: Any
    ) -> None:
        """kind(*arguments) is a worker; at most so many; options of `ray.remote`."""
        resources = ray.cluster_resources()
        self.slot = "GPU" if resources.get("GPU") else "CPU"
        count = int(resources.get(self.slot, 1))
        actor = ray.remote(**{f"num_{self.slot.lower()}s": 1}, **options)(kind)
        self._ray, self._new = ray, partial(actor.remote, *arguments)
        self._free = [self._new() for _ in range(max(min(count, most or count), 1))]
        self._busy: dict[Any, tuple[Any, Any]] = {}

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def busy(self) -> list[Any]:
        return [worker for worker, _ in self._busy.values()]

    def start(self, item: Any, method: str) -> None:
        """Give a free worker an item, by the method that answers."""
        worker = self._free.pop()
        self._busy[getattr(worker, method).remote(item)] = worker, item

    def answers(self, least: int = 0) -> list[Answer]:
        """Those since the last call; waits for so many."""
        futures = [*self._busy]
        count, timeout = (least, None) if least else (len(futures), 0)
        done, _ = self._ray.wait(futures, num_returns=count, timeout=timeout)
        return [self._take(future) for future in done]

    def _take(self, future: Any) -> Answer:
        worker, item = self._busy.pop(future)
        try:
            said = self._ray.get(future)
        except self._ray.exceptions.RayActorError as error:
            self._free.append(self._new())
            return Answer(item, None, str(error).splitlines()[0])
        self._free.append(worker)
        return Answer(item, said, "")
