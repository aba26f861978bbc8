"""From concepts to class vectors: sentences, their average, and the check of templates."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

HOLE = "{}"


def class_prototypes(
    encode: Callable[[Sequence[str]], Tensor],
    concepts: Sequence[Sequence[str]],
    templates: Sequence[str],
) -> Tensor:
    """Class vectors (N, C), float32: one for each set of concepts (method section 2).

    Every concept goes into every template; `encode` turns n sentences into raw features (n, C).
    Their plain mean over concepts and templates is L2-normalised, so the longer of two features
    counts for more. ValueError for a class without concepts and for a wrong template.
    """
    check_templates(templates)
    means = []
    for number, names in enumerate(concepts):
        if not names:
            raise ValueError(
                f"Class {number} has no concepts: a text prototype needs at least one."
            )
        sentences = [template.format(name) for name in names for template in templates]
        means.append(encode(sentences).float().mean(dim=0))
    return F.normalize(torch.stack(means), dim=1)


def check_templates(templates: Sequence[str]) -> None:
    """ValueError unless there is a template and each has one '{}' and no other brace."""
    if not templates:
        raise ValueError("GUIDANCE.TEMPLATES is empty: give at least one, as 'a photo of a {}'.")
    for template in templates:
        _check(template, "The template")


def read_templates(path: str | Path) -> tuple[str, ...]:
    """Templates from a text file, one a line; ValueError names the line that is none."""
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    if not lines:
        raise ValueError(
            f"{path} is empty: it must have one template a line, as 'a photo of a {{}}'."
        )
    for number, line in enumerate(lines, start=1):
        _check(line, f"{path}, line {number}:")
    return tuple(line.strip() for line in lines)


def _check(template: str, what: str) -> None:
    rest = template.replace(HOLE, "", 1)
    if HOLE not in template or "{" in rest or "}" in rest:
        raise ValueError(
            f"{what} {template!r} must have one '{{}}', where the concept goes, and no other "
            "brace, as in 'a photo of a {}'."
        )
