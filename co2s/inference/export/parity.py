"""How near every file of a bundle comes to the model: the proof that is written beside them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from co2s.modeling.meta_arch.students import Students
from co2s.modeling.temperature import FUSED

from .graph import Graph

LIMIT = 1e-4  # that probabilities may differ by
# Where two students are as sure as this of each other, rounding decides whose word counts.
TIE = 1e-5

Run = Callable[[Tensor], Tensor]  # images (B, C, S, S) uint8 -> probabilities (B, N, S, S)
TOGETHER = 2  # windows in one batch


class Expected(NamedTuple):
    """What the model itself says: probabilities (B, N, S, S), and where it might say other."""

    probabilities: Tensor
    tied: Tensor  # (B, S, S)


@torch.no_grad()
def expected_of(
    model: Students, student: str, scale: float, graph: Graph, windows: Tensor
) -> Expected:
    """For windows (B, C, S, S) uint8, each seen by the model as one window."""
    key = "sem_seg" if student == FUSED else f"sem_seg_{student}"
    with _whole(model, round(windows.shape[-1] * scale), scale):
        items: list[Any] = [{"image": x} for x in windows]
        probabilities = [result[key] for result in model.inference(items)]
    tied = [_tied(graph, image[None] / 255.0) for image in windows.float()]
    return Expected(torch.stack(probabilities), torch.cat(tied))


@torch.no_grad()
def compare(expected: Expected, windows: Tensor, run: Run) -> dict[str, Any]:
    """How far what a file says of windows (B, C, S, S) uint8 is from what is expected.

    `largest_difference` of a probability, `equal_classes`: share of all pixels. Pixels whose
    students are `ties` count in the second only.
    """
    found = torch.cat([run(part) for part in windows.split(TOGETHER)])
    want, tied = expected
    difference = (found - want).abs().amax(dim=1).masked_fill(tied, 0.0)
    return {
        "largest_difference": float(difference.max()),
        "equal_classes": float((found.argmax(dim=1) == want.argmax(dim=1)).double().mean()),
        "ties": int(tied.sum()),
    }


def check(results: Mapping[str, Mapping[str, Any]]) -> None:
    """ValueError where a file is too far from the model to be given away."""
    for name, found in results.items():
        if not found["largest_difference"] <= LIMIT:  # NaN is as bad
            raise ValueError(
                f"{name} differs from the model by up to {found['largest_difference']:.2g}, more "
                f"than {LIMIT}: nothing is written. Leave it out of --formats, or try other "
                "versions of torch, onnxscript and onnxruntime."
            )


def _tied(graph: Graph, image: Tensor) -> Tensor:
    """(1, S, S): where the two surest students of a fusion by confidence are equally sure."""
    alone = graph.alone(image)
    if len(alone) == 1 or graph.fusion != "confidence":
        return torch.zeros(1, *image.shape[-2:], dtype=torch.bool)
    sure = torch.stack([probs.amax(dim=1) for probs in alone]).topk(2, dim=0).values
    return sure[0] - sure[1] < TIE


@contextmanager
def _whole(model: Students, window: int, scale: float) -> Iterator[None]:
    """The model with one window for an image, seen at the scale of the export."""
    changed = {
        "window": window,
        "stride": window,
        "test_base_size": (0, 0),
        "test_scale": scale,
        "student_maps": True,
    }
    before = {name: getattr(model, name) for name in changed}
    try:
        for name, value in changed.items():
            setattr(model, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(model, name, value)
