"""What is written of a scene: class maps, and how unsure they are, as uint8 pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from .network import MAIN
from .pipeline import Rows
from .products import NODATA, SCALE

UNSURE = ("confidence", "entropy", "disagreement")


@dataclass(frozen=True)
class Wanted:
    """Which products of a scene are asked for, beside its class map.

    uncertainty: some of UNSURE; probabilities: of every class; students: whose own class maps.
    """

    uncertainty: tuple[str, ...] = ()
    probabilities: bool = False
    students: tuple[str, ...] = ()

    def check(self, names: Sequence[str]) -> None:
        """ValueError where the students whose maps there will be do not suffice."""
        if len(names) < 2 and ("disagreement" in self.uncertainty or self.students):
            raise ValueError("--disagreement and --maps compare two students; this model has one.")


NO_MORE = Wanted()


def pixels_of(rows: Rows, wanted: Wanted) -> dict[str, Tensor]:
    """uint8 pixels (bands, r, W) by product: "map", "uncertainty", "probabilities", students."""
    main, hole = rows.maps[MAIN], torch.from_numpy(~rows.valid)
    found = {"map": top_class(main)[None]}
    if wanted.uncertainty:
        found["uncertainty"] = _shares(
            torch.stack([_unsure(kind, rows.maps) for kind in wanted.uncertainty])
        )
    if wanted.probabilities:
        found["probabilities"] = _shares(main)
    for name in wanted.students:
        found[name] = top_class(rows.maps[f"{MAIN}_{name}"])[None]
    for pixels in found.values():
        pixels.masked_fill_(hole, NODATA)
    return found


def top_class(probs: Tensor) -> Tensor:
    """The most probable class of probabilities (N, r, W), uint8; the first of equal ones.

    `argmax` over the first dimension takes as long as a small network does.
    """
    best, found = probs[0].clone(), torch.zeros(probs.shape[1:], dtype=torch.uint8)
    for number, values in enumerate(probs[1:], start=1):
        found.masked_fill_(values > best, number)
        torch.maximum(best, values, out=best)
    return found


def _shares(values: Tensor) -> Tensor:
    return (values * SCALE).round().clamp(0, SCALE).to(torch.uint8)


def _unsure(kind: str, maps: dict[str, Tensor]) -> Tensor:
    """(r, W) in 0..1."""
    main = maps[MAIN]
    if kind == "confidence":
        return main.amax(dim=0)
    if kind == "entropy":
        return entropy(main)
    return disagreement([value for name, value in maps.items() if name != MAIN])


def entropy(probs: Tensor) -> Tensor:
    """Shannon's of probabilities (N, ...), as a share of the most there can be, log N."""
    return -torch.special.xlogy(probs, probs).sum(dim=0) / log(max(len(probs), 2))


def disagreement(students: Sequence[Tensor]) -> Tensor:
    """Total variation distance of two students' probabilities (N, ...): 0 alike, 1 apart.

    Of more of them the mean over their pairs.
    """
    pairs = [(a, b) for n, a in enumerate(students) for b in students[n + 1 :]]
    return torch.stack([(a - b).abs().sum(dim=0) / 2 for a, b in pairs]).mean(dim=0)
