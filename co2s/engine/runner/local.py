"""Jobs on this machine: dealt out over its GPUs, or over its cores."""

import os
import sys
from collections.abc import Mapping, Sequence
from itertools import cycle, islice

import torch

from co2s.d2 import CfgNode

from .jobs import Ended, Job
from .process import Process


class LocalPool:
    """Slots of this machine, each with an environment of its own."""

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        self._free = [*environments]
        self._busy: list[tuple[Process, Mapping[str, str]]] = []

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def busy(self) -> int:
        return len(self._busy)

    def start(self, job: Job) -> None:
        environment = self._free.pop(0)
        self._busy.append((Process(job, environment), environment))

    def ended(self) -> list[Ended]:
        """Those that have ended since the last call."""
        found = [(process.poll(), process, environment) for process, environment in self._busy]
        self._busy = [(process, e) for ended, process, e in found if ended is None]
        self._free += [environment for ended, _, environment in found if ended is not None]
        return [ended for ended, *_ in found if ended is not None]

    def stop(self) -> None:
        """Let all that run save and end."""
        for process, _ in self._busy:
            process.stop()


def slots(jobs: int, cfgs: Sequence[CfgNode]) -> list[dict[str, str]]:
    """The environments of so many jobs at once; 0: one on each GPU, else one.

    More jobs than GPUs are dealt out over them: small models leave a GPU idle most of the time.
    The cores are shared out alike.
    """
    gpus = _gpus() if any(cfg.MODEL.DEVICE.startswith("cuda") for cfg in cfgs) else []
    number = jobs or len(gpus) or 1
    threads = {"OMP_NUM_THREADS": str(max(_cores() // number, 1)), **_own_threads()}
    dealt = islice(cycle([{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] or [{}]), number)
    return [{**threads, **gpu} for gpu in dealt]


def _gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES has to say for each GPU that this process sees."""
    count = torch.cuda.device_count()
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in given.split(",") if name.strip()]
    return names[:count] if names else [str(number) for number in range(count)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _own_threads() -> dict[str, str]:
    """OMP_NUM_THREADS where somebody has set it: that counts."""
    given = os.environ.get("OMP_NUM_THREADS")
    return {"OMP_NUM_THREADS": given} if given else {}
