"""Stages: how the time of a computation divides among functions, measured from outside."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from time import perf_counter
from typing import Any

Places = Mapping[str, Sequence[tuple[Any, str]]]


class Stages:
    """A context in which the seconds spent in certain functions are added up by stage.

    A function is replaced where it is looked up, and put back at the end, so that the measured
    code knows nothing of it. A stage that is called by another one counts for the caller.
    """

    def __init__(self, places: Places) -> None:
        """places: for each stage the modules or classes, and the names of functions in them."""
        self.places = places
        self.seconds = dict.fromkeys(places, 0.0)
        self._originals: list[tuple[Any, str, Callable]] = []
        self._inside = False

    def __enter__(self) -> "Stages":
        for stage, places in self.places.items():
            for owner, name in places:
                original = getattr(owner, name)
                self._originals.append((owner, name, original))
                setattr(owner, name, self._timed(stage, original))
        return self

    def __exit__(self, *error: object) -> None:
        while self._originals:
            setattr(*self._originals.pop())

    def _timed(self, stage: str, function: Callable) -> Callable:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._inside = True
            start = perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[stage] += perf_counter() - start
                self._inside = False

        return timed
