"""Reading the authors' pair of files, one student in each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from co2s.modeling.weights import WeightsError, read_tensors

from .names import CLASS_VECTORS

PREFIX = "module."
FILES = {"global": "best_clip.pth", "local": "best_dinov3.pth"}


def read_student(path: str | Path, student: str) -> dict[str, Tensor]:
    """The tensors of the "global" or the "local" student's file, without the prefix of names.

    Optimiser and epoch are left out. WeightsError where the file holds something else; where it
    is the other student's it says so.
    """
    content = read_tensors(path)
    tensors = content.get("model")
    if not isinstance(tensors, Mapping):
        raise WeightsError(
            f"'{path}' holds {listed(sorted(map(str, content)), 5)}. A checkpoint of the authors' "
            "release has its tensors under 'model', beside 'optimizer' and 'epoch'."
        )
    others = [str(name) for name, value in tensors.items() if not isinstance(value, Tensor)]
    if others:
        raise WeightsError(f"'{path}' has more than tensors under 'model': {listed(others)}.")
    if all(name.startswith(PREFIX) for name in tensors):
        tensors = {name.removeprefix(PREFIX): value for name, value in tensors.items()}
    _check_student(path, tensors, student)
    return dict(tensors)


def _check_student(path: str | Path, tensors: Mapping[str, Tensor], student: str) -> None:
    own = CLASS_VECTORS[student]
    if own in tensors:
        return
    other = "local" if student == "global" else "global"
    if CLASS_VECTORS[other] in tensors:
        raise WeightsError(
            f"'{path}' was given as the {student} student's file, but holds the {other} student "
            f"(it has {CLASS_VECTORS[other]}). Swap the two: --global takes {FILES['global']}, "
            f"--local takes {FILES['local']}."
        )
    raise WeightsError(
        f"'{path}' is not the authors' {FILES[student]}: it has no {own}, the class vectors. "
        f"It has {listed(sorted(tensors), 5)}."
    )


def listed(names: Sequence[str], most: int = 40) -> str:
    """Names for a message, with the number of those that it leaves out."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
