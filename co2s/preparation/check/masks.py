"""Masks: what their values stand for, how often each occurs, and what is wrong with them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from co2s.data.reading.labels import class_number, color_codes
from co2s.data.reading.rasters import Window
from co2s.data.spec import DatasetSpec
from co2s.structures import IGNORE_LABEL

from .headers import Header, Problem, judge_remarks
from .report import ERROR, INFO, WARNING, Finding, about, plural

Value = float | str | tuple[int, int, int]
Counts = Counter[Value]  # pixels of each value

KEPT = 256  # values of one mask without a meaning that are counted by name
SHOWN_VALUES = 8
WHOLE = 2**53  # from here on floating point holds no odd numbers
MANY = 64  # different values without a meaning: no coding has as many, compression does


def count_values(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values and how often each occurs.

    Masks are made of long runs of one value: only their starts are sorted.
    """
    flat = values.ravel()
    if not flat.size:
        return flat, np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(starts, append=flat.size)
    found, which = np.unique(flat[starts], return_inverse=True)
    return found, np.bincount(which, weights=lengths).astype(np.int64)


def color_of(code: int) -> tuple[int, int, int]:
    """The colour behind a code."""
    return code >> 16, (code >> 8) & 255, code & 255


class Meaning:
    """What raw values stand for, as the spec says; each is looked up once."""

    def __init__(self, spec: DatasetSpec, encoding: str) -> None:
        """encoding: "color", the values are colour codes; "index", numbers; "coco", classes."""
        self.spec = spec
        self.colors = encoding == "color"
        self._classes: dict[float, int] = {}
        if encoding == "coco":
            self._classes = {number: number for number in range(len(spec.classes))}
        if self.colors:
            ignored = spec.labels.ignore if spec.labels.encoding == "color" else ()
            for number, color in enumerate([*spec.label_colors, *ignored]):
                code = int(color_codes(np.array(color)))
                self._classes[code] = number if number < len(spec.classes) else IGNORE_LABEL

    def __call__(self, value: float) -> int:
        """The class, 255 for ignore, -1 for a value without a meaning."""
        if value not in self._classes:
            self._classes[value] = -1 if self.colors else class_number(value, self.spec)
        return self._classes[value]

    def named(self, value: float) -> Value:
        """The value as people write it."""
        if self.colors:
            return color_of(int(value))
        if not np.isfinite(value):
            return str(value)
        return int(value) if value == int(value) and abs(value) < WHOLE else value


class Tally:
    """Pixels of each value of one mask, those without a meaning, and those of each class."""

    def __init__(self, meaning: Meaning) -> None:
        self.meaning = meaning
        self.counts: Counts = Counter()
        self.unknown: Counts = Counter()

    def add(self, values: np.ndarray) -> None:
        """Count raw values of any shape."""
        found, counts = count_values(values)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            known = self.meaning(value) >= 0
            (self.counts if known else self.unknown)[self.meaning.named(value)] += count

    def classes(self, values: np.ndarray) -> np.ndarray:
        """(N + 1,) pixels of each class, and last of ignored ones, in raw values."""
        number = len(self.meaning.spec.classes)
        pixels = np.zeros(number + 1, np.int64)
        found, counts = count_values(values)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            known = self.meaning(value)
            if known >= 0:
                pixels[min(known, number)] += count
        return pixels

    def commonest_unknown(self) -> tuple[Counts, int]:
        """The values without a meaning that occur most, and how many pixels have any."""
        return Counter(dict(self.unknown.most_common(KEPT))), self.unknown.total()


@dataclass
class MaskFacts:
    """What a mask holds, in the encoding that its spec declares.

    `name`: what findings show; of an annotation file, which holds the masks of many, the image.
    `refused`: it cannot be read in that encoding. `other`: its values in the other one, where it
    does not fit the declared one. `parts`: pixels of each class, last of ignored ones, in each
    window. `warp`: how its grid differs.
    """

    path: str
    name: str
    header: Header | None = None
    problem: Problem | None = None
    counts: Counts = field(default_factory=Counts)
    unknown: Counts = field(default_factory=Counts)
    unknown_pixels: int = 0
    refused: bool = False
    other: Counts = field(default_factory=Counts)
    parts: dict[Window | None, np.ndarray] = field(default_factory=dict)
    warp: str = ""


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
    yield from judge_remarks({m.name: m.header for m in masks if m.header}, masks=True)
    warped = [mask for mask in masks if mask.warp]
    if warped:
        yield about(
            WARNING,
            "warped",
            [mask.name for mask in warped],
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
            yield about(ERROR, name, [mask.name for mask in bad], message, fix)


def _kinds(masks: Sequence[MaskFacts]) -> Iterator[Finding]:
    kinds = Counter(mask.header.kind for mask in masks if mask.header is not None)
    if len(kinds) > 1:
        found = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common())
        rare = kinds.most_common()[-1][0]
        files = [mask.name for mask in masks if mask.header and mask.header.kind == rare]
        message = f"Masks are stored in different ways ({found}): harmless, all are decoded."
        yield about(INFO, "mixed masks", files, message)


def judge_values(masks: Sequence[MaskFacts], spec: DatasetSpec) -> Iterator[Finding]:
    """Masks in another encoding, and values that stand for nothing or not for what they seem."""
    misread = [mask for mask in masks if _in_other_encoding(mask, spec)]
    if misread:
        yield _encoding(misread, spec)
    yield from _values([mask for mask in masks if not _in_other_encoding(mask, spec)], spec)


def _in_other_encoding(mask: MaskFacts, spec: DatasetSpec) -> bool:
    """Whether the other encoding explains a mask that does not fit the declared one."""
    if not mask.other or mask.header is None:
        return False
    if spec.labels.encoding == "index" and not mask.refused:
        # Any palette has colours, and three equal bands are grey: only the classes' own say that
        # they are meant.
        colored = [color for color in spec.label_colors if len(set(color)) > 1]
        return any(color in colored for color in mask.other)
    return True


def _encoding(masks: Sequence[MaskFacts], spec: DatasetSpec) -> Finding:
    found = _sum(mask.other for mask in masks)
    files = [mask.name for mask in masks]
    count = plural(len(masks), "mask")
    if spec.labels.encoding == "index":
        message = f"{count} with colours, where numbers were declared: {_named(found)}."
        fix = "`labels: {encoding: color}`, and each class's colour as `label_color`."
        return about(ERROR, "colours for numbers", files, message, fix)
    message = f"{count} with numbers, where colours were declared: {_named(found)}."
    plain = {"map": "{0: 0, 255: 1}"} if set(found) == {0, IGNORE_LABEL} else {}
    more = "".join(f", {key}: {value}" for key, value in plain.items())
    fix = f"`labels: {{encoding: index{more}}}`."
    return about(ERROR, "numbers for colours", files, message, fix)


def _values(masks: Sequence[MaskFacts], spec: DatasetSpec) -> Iterator[Finding]:
    """Values that stand for nothing, or for something else than they seem."""
    known, unknown = _sum(m.counts for m in masks), _sum(m.unknown for m in masks)
    if _binary(set(known) | set(unknown), spec):
        files = [mask.name for mask in masks if IGNORE_LABEL in mask.counts]
        yield about(
            ERROR,
            "0 and 255",
            files,
            f"All masks hold 0 and 255 only; 255 is ignored, so a single one of "
            f"{len(spec.classes)} classes would be seen.",
            "`labels: {encoding: index, map: {0: 0, 255: 1}}`; if 255 is meant to be ignored, "
            "`ignore: [255]`.",
        )
        return
    if not unknown:
        return
    bad = [mask for mask in masks if mask.unknown_pixels]
    pixels = sum(mask.unknown_pixels for mask in bad)
    what = "colours" if spec.labels.encoding == "color" else "values"
    message = (
        f"{plural(len(bad), 'mask')} with {what} that stand for none of the {len(spec.classes)} "
        f"classes, {pixels} pixels: {_named(unknown)}."
    )
    yield about(ERROR, "unknown values", [m.name for m in bad], message, _fix(bad, known, spec))


def _binary(values: set[Value], spec: DatasetSpec) -> bool:
    labels = spec.labels
    said = IGNORE_LABEL in labels.ignore or IGNORE_LABEL in (labels.map or {})
    plain = labels.encoding == "index" and not said and len(spec.classes) > 1
    return plain and values == {0, IGNORE_LABEL}


def _fix(bad: Sequence[MaskFacts], known: Counts, spec: DatasetSpec) -> str:
    """The likely fix for values without a meaning."""
    unknown = _sum(mask.unknown for mask in bad)
    if len(unknown) > MANY:
        return (
            "So many different ones come from lossy compression or from resizing: write masks as "
            "PNG or GeoTIFF, and resize them nearest neighbour."
        )
    labels = spec.labels
    if set(unknown) == {"nan"}:
        return "If it is unlabelled: `ignore: [.nan]`, which is how YAML writes NaN."
    if labels.encoding == "index" and labels.map is None:
        low, high = -labels.offset, len(spec.classes) - 1 - labels.offset
        if set(unknown) == {high + 1}:
            if low not in known:
                return f"Labels run from {low + 1} to {high + 1}: `offset: {labels.offset - 1}`."
            return (
                f"{high - low + 2} values for {len(spec.classes)} classes. If {low} is unlabelled: "
                f"`offset: {labels.offset - 1}, ignore: [{low}]`; else a class is missing in the "
                "YAML file."
            )
        if set(unknown) == {low - 1}:
            if high not in known:
                return f"Labels run from {low - 1} to {high - 1}: `offset: {labels.offset + 1}`."
            return f"If {low - 1} is unlabelled: `ignore: [{low - 1}]`."
    nan = " (NaN is `.nan` there)" if "nan" in unknown else ""
    return f"Correct `labels` in the YAML file, or add them to `labels.ignore`{nan}."


def shifted(seen: Sequence[bool], spec: DatasetSpec) -> str:
    """A hint where every class but the first occurs (`seen`): then labels may start at 1."""
    labels = spec.labels
    if labels.encoding != "index" or labels.map is not None or len(seen) < 3:
        return ""
    if seen[0] or not all(seen[1:]):
        return ""
    return (
        f"If labels start at {1 - labels.offset} on disk, say `offset: {labels.offset - 1}`: as it "
        f"is, {1 - labels.offset} means '{spec.class_names[1]}'."
    )


def _sum(counters: Iterable[Counts]) -> Counts:
    total: Counts = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _named(counts: Counts) -> str:
    """The commonest values with their pixels."""
    parts = [f"{value} ({count} px)" for value, count in counts.most_common(SHOWN_VALUES)]
    more = len(counts) - SHOWN_VALUES
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")
