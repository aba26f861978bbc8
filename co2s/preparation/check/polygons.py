"""Vector labels: polygons that contradict each other, and features that nobody has labelled yet."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from co2s.data.reading.overlaps import overlaps
from co2s.data.reading.polygons import load_polygons
from co2s.data.spec import DatasetSpec

from .report import INFO, WARNING, Finding, about, plural


def judge_polygons(spec: DatasetSpec, masks: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Overlaps of different classes and empty classes; masks: (image, file of polygons)."""
    if spec.labels.vector is None:
        return
    masks = sorted(masks)
    found = [(image, one) for image, path in masks for one in overlaps(path, spec, image)]
    if found:
        image, first = found[0]
        pixels = sum(one.pixels for _, one in found)
        two = " and ".join(
            f"{feature} ({spec.class_names[number]})"
            for feature, number in zip(first.features, first.classes, strict=True)
        )
        pairs = plural(len({one.features for _, one in found}), "pair")
        message = (
            f"{pairs} of polygons of different classes lie over each other on {pixels} pixels of "
            f"images: these are ignored. The features {two}, from row {first.first[0]}, column "
            f"{first.first[1]} of {Path(image).name} on."
        )
        fix = f"Cut one at the other's border in {spec.labels.vector}."
        files = [image for image, _ in found]
        yield about(WARNING, "overlapping polygons", files, message, fix)
    for path in sorted({path for _, path in masks}):
        polygons = load_polygons(path, spec)
        if polygons.unlabelled:
            message = (
                f"{plural(polygons.unlabelled, 'feature')} without a class in the column "
                f"'{spec.labels.column}': not yet labelled, passed over."
            )
            yield Finding(INFO, "empty class", message, polygons.unlabelled, (path,))
        if polygons.mended:
            message = f"{plural(polygons.mended, 'polygon')} that cross themselves: mended."
            yield Finding(INFO, "mended polygons", message, polygons.mended, (path,))
