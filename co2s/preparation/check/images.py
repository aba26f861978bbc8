"""What the images of a dataset have in common, where they differ, and which are there twice."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

from co2s.data.spec import DatasetSpec

from .findings import ERROR, INFO, WARNING, Finding, about, plural
from .image_facts import ImageFacts
from .lists import SampleList

_PROBLEMS = {
    "unreadable": (
        "unreadable image",
        "cannot be read",
        "Replace them, or take them off the lists.",
    ),
    "bands": ("lacking band", "lack a band", "Correct `raster.bands` in the YAML file."),
    "scale": (
        "no scale",
        "have more than 8 bits and nothing says how to scale them",
        "For instance `raster: {scale: {percentile: [2, 98]}}`, or `{statistics: FILE}` with the "
        "file that --statistics FILE writes.",
    ),
}


def judge_images(images: Sequence[ImageFacts], spec: DatasetSpec) -> Iterator[Finding]:
    """Images of no use, differences among them, and holes in them."""
    for kind, (name, words, fix) in _PROBLEMS.items():
        bad = [image for image in images if image.problem and image.problem.kind == kind]
        if bad and bad[0].problem:
            message = f"{plural(len(bad), 'image')} {words}: {bad[0].problem.text}"
            yield about(ERROR, name, [image.path for image in bad], message, fix)
    yield from _sizes(images, spec)
    yield from _differences(images)
    yield from _holes(images, spec)


def _sizes(images: Sequence[ImageFacts], spec: DatasetSpec) -> Iterator[Finding]:
    sizes = {i.path: (i.header.height, i.header.width) for i in images if i.header}
    if len(set(sizes.values())) < 2:
        return
    sides = [side for size in sizes.values() for side in size]
    message = (
        f"{len(set(sizes.values()))} different sizes, sides of {min(sides)} to {max(sides)} pixels"
    )
    window = spec.layout.window if spec.layout else None
    if window:
        used = sum((h // window) * (w // window) for h, w in sizes.values()) * window**2
        share = 1 - used / sum(h * w for h, w in sizes.values())
        message += f"; {share:.1%} lie beyond the last full window of {window}"
    yield about(INFO, "sizes", sizes, message + ".")


def _differences(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    """Bands, kinds of numbers, CRS and resolution: one warning for each that is not the same."""
    headers = {image.path: image.header for image in images if image.header}
    kinds: dict[str, dict[str, Hashable]] = {
        "bands": {path: header.bands for path, header in headers.items()},
        "dtype": {path: header.dtype for path, header in headers.items()},
        "CRS": {path: header.crs for path, header in headers.items()},
        "resolution": {
            path: f"{header.resolution[0]:.2g} x {header.resolution[1]:.2g}"
            for path, header in headers.items()
            if header.resolution
        },
    }
    for kind, values in kinds.items():
        counts = Counter(values.values())
        if len(counts) < 2:
            continue
        common = counts.most_common()
        rare = [path for path, value in values.items() if value != common[0][0]]
        found = ", ".join(f"{value or 'none'} ({plural(n, 'image')})" for value, n in common[:6])
        message = f"Images differ in {kind}: {found}."
        yield about(WARNING, f"differing {kind.lower()}", rare, message)


def _holes(images: Sequence[ImageFacts], spec: DatasetSpec) -> Iterator[Finding]:
    read = [image for image in images if image.pixels and not image.problem]
    holed = [image for image in read if image.valid < image.pixels]
    if holed:
        missing = sum(image.pixels - image.valid for image in holed)
        share = missing / sum(image.pixels for image in read)
        message = (
            f"{plural(len(holed), 'image')} with invalid pixels (nodata, masked, transparent or "
            f"NaN), {share:.2%} of all: left out everywhere."
        )
        yield about(INFO, "nodata", [image.path for image in holed], message)
    flat = [image for image in read if image.flat]
    if flat:
        message = f"{plural(len(flat), 'image')} without a picture: one value, or nothing valid."
        fix = "Take them off the lists."
        yield about(WARNING, "blank", [image.path for image in flat], message, fix)
    empty = [image for image in read if not image.valid]
    if empty and spec.raster and spec.raster.scale and spec.raster.scale.method == "percentile":
        message = f"{plural(len(empty), 'image')} with nothing to take percentiles of."
        fix = "Take them off the lists: training would stop there."
        yield about(ERROR, "no percentiles", [image.path for image in empty], message, fix)


def judge_duplicates(
    images: Sequence[ImageFacts], lists: Sequence[SampleList]
) -> Iterator[Finding]:
    """Images of the same decoded pixels under several names; blank ones are left out."""
    groups = defaultdict(set)
    for image in images:
        if image.digest and not image.flat and not image.problem:
            groups[image.digest].add(image.path)
    twins = [group for group in groups.values() if len(group) > 1]
    val = {path for entry in lists if entry.role == "val" for path in entry.images}
    train = {path for entry in lists if entry.role != "val" for path in entry.images}
    across = [group for group in twins if group & train and group & val]
    within = [group for group in twins if group not in across]
    if across:
        files = [path for group in across for path in group]
        message = f"{len(files)} images have the same pixels in training and in validation."
        fix = "Keep each on one side: scores on what was trained on are no test."
        yield about(ERROR, "leak", files, f"{message} {_groups(across)}", fix)
    if within:
        files = [path for group in within for path in group]
        message = f"{len(files)} images have the same pixels as another one. {_groups(within)}"
        yield about(WARNING, "duplicates", files, message, "Take all but one off the lists.")


def _groups(groups: Sequence[set[str]]) -> str:
    return "The first: " + " = ".join(sorted(min(groups, key=min))) + "."
