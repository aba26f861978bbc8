"""Runs that differ in nothing but their seed, together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from .folder import Run

# May differ between runs that a mean is taken over: where they lie, and what changes no result.
FREE = ("SEED", "OUTPUT_DIR", "DATALOADER.NUM_WORKERS", "MODEL.DEVICE", "DATASETS.ROOT")


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed."""

    name: str
    runs: list[Run]
    options: dict[str, Any]


def grouped(runs: Iterable[Run]) -> list[Group]:
    """Runs of equal options together, in the order in which they are given."""
    found: list[tuple[dict[str, Any], list[Run]]] = []
    for run in runs:
        options = {k: v for k, v in (run.known("options") or {}).items() if k not in FREE}
        alike = next((members for other, members in found if options and other == options), None)
        if alike is None:
            found.append((options, [run]))
        else:
            alike.append(run)
    groups: list[Group] = []
    for options, members in found:
        name = _name(members)
        taken = sum(group.name.partition(" #")[0] == name for group in groups)
        groups.append(Group(f"{name} #{taken + 1}" if taken else name, members, options))
    return groups


def _name(runs: Sequence[Run]) -> str:
    """What the names of their folders have in common: Co2S of Co2S_seed0 and Co2S_seed1."""
    names = [run.name for run in runs]
    if len(names) == 1:
        return names[0]
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    common = "".join(letters[0] for letters in alike).rstrip("0123456789_-. ")
    common = common.removesuffix("seed").rstrip("_-. ")
    return common or str(runs[0].option("MODEL.META_ARCHITECTURE") or names[0])
