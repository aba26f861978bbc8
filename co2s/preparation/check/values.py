"""What the values of masks say against what the spec declares, and the likely way out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from co2s.data.spec import DatasetSpec
from co2s.structures import IGNORE_LABEL

from .counts import Counts, Value
from .findings import ERROR, Finding, about, plural
from .mask_facts import MaskFacts

SHOWN_VALUES = 8
MANY = 64  # different values without a meaning: no coding has as many, compression does


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
    if spec.labels.encoding == "index" and mask.header.kind == "palette":
        # Any palette has colours: only the classes' own ones say that they are meant.
        return any(color in spec.label_colors for color in mask.other)
    return True


def _encoding(masks: Sequence[MaskFacts], spec: DatasetSpec) -> Finding:
    found = _sum(mask.other for mask in masks)
    files = [mask.path for mask in masks]
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
        files = [mask.path for mask in masks if IGNORE_LABEL in mask.counts]
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
    yield about(ERROR, "unknown values", [m.path for m in bad], message, _fix(bad, known, spec))


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
    return "Correct `labels` in the YAML file, or add them to `labels.ignore`."


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
