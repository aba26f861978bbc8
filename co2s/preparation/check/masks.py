"""What is wrong with masks as files and as labels."""

from collections import Counter
from collections.abc import Iterator, Sequence

from co2s.data.spec import DatasetSpec

from .findings import ERROR, INFO, WARNING, Finding, about, plural
from .mask_facts import MaskFacts
from .values import judge_values

_PROBLEMS = {
    "unreadable": (
        "unreadable mask",
        "cannot be read",
        "Replace the files, or take their samples off the lists.",
    ),
    "size": (
        "size",
        "differ in size from the image",
        "Check that image and mask belong together, or give both a georeference.",
    ),
    "no overlap": (
        "no overlap",
        "do not overlap with the image",
        "Check that they belong together, and the CRS of both.",
    ),
}


def judge_masks(masks: Sequence[MaskFacts], spec: DatasetSpec) -> Iterator[Finding]:
    """Everything wrong with masks as files and as labels."""
    yield from _problems(masks)
    yield from _kinds(masks)
    warped = [mask for mask in masks if mask.warp]
    if warped:
        yield about(
            WARNING,
            "warped",
            [mask.path for mask in warped],
            f"{plural(len(warped), 'mask')} on another grid than the image, brought onto it by "
            f"nearest neighbour; the first: {warped[0].warp}.",
        )
    yield from judge_values([mask for mask in masks if mask.problem is None], spec)


def _problems(masks: Sequence[MaskFacts]) -> Iterator[Finding]:
    """Masks of no use, by kind."""
    for kind, (name, words, fix) in _PROBLEMS.items():
        bad = [mask for mask in masks if mask.problem is not None and mask.problem.kind == kind]
        if bad and bad[0].problem is not None:
            message = f"{plural(len(bad), 'mask')} {words}: {bad[0].problem.text}"
            yield about(ERROR, name, [mask.path for mask in bad], message, fix)


def _kinds(masks: Sequence[MaskFacts]) -> Iterator[Finding]:
    kinds = Counter(mask.header.kind for mask in masks if mask.header is not None)
    if len(kinds) > 1:
        found = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common())
        rare = kinds.most_common()[-1][0]
        files = [mask.path for mask in masks if mask.header and mask.header.kind == rare]
        message = f"Masks are stored in different ways ({found}): harmless, all are decoded."
        yield about(INFO, "mixed masks", files, message)
