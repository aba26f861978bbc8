"""Images: digests, holes and bands, read block by block, and what is wrong with them."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from co2s.data.reading.formats import is_raster
from co2s.data.reading.io import read_image
from co2s.data.reading.rasters import Window, opened, rasterio_window, raw_pixels
from co2s.data.spec import DatasetSpec
from co2s.data.spec.raster import RasterSpec
from co2s.optional import import_extra

from .headers import Header, Problem, bands_suffice, judge_remarks
from .lists import SampleList
from .report import ERROR, INFO, WARNING, Finding, about, plural
from .statistics import BandStatistics

BLOCK = 1024  # side of the blocks of a raster, pixels
# By itself GDAL keeps 5 % of the machine's memory; a row of blocks of a striped file must fit.
CACHE_BYTES = 256 * 2**20


@dataclass
class ImageFacts:
    """What an image is: `digest` of its decoded pixels, `flat`: all of them are the same."""

    path: str
    header: Header | None = None
    problem: Problem | None = None
    digest: str = ""
    flat: bool = False
    pixels: int = 0
    valid: int = 0
    bands: dict[int, BandStatistics] = field(default_factory=dict)


def decoded(
    image: ImageFacts, raster: RasterSpec | None
) -> Iterator[tuple[Window, np.ndarray, tuple[int, ...], np.ndarray]]:
    """(place, bands (C, h, w) as stored, their numbers, valid (h, w))."""
    assert image.header is not None
    if not is_raster(image.path, raster):
        rgb, known = read_image(image.path, raster)
        height, width = rgb.shape[:2]
        valid = np.ones((height, width), bool) if known is None else known
        yield (0, 0, height, width), rgb.transpose(2, 0, 1), (1, 2, 3), valid
        return
    spec = raster or RasterSpec()
    if not bands_suffice(image.header, spec):
        return
    environment = import_extra("rasterio", "geo").Env
    with environment(GDAL_CACHEMAX=CACHE_BYTES), opened(image.path) as source:
        for y in range(0, source.height, BLOCK):
            for x in range(0, source.width, BLOCK):
                place = (y, x, min(BLOCK, source.height - y), min(BLOCK, source.width - x))
                bands, valid = raw_pixels(source, spec, rasterio_window(place))
                yield place, bands, spec.bands, valid


class ImageSums:
    """Digest, nodata and statistics of an image, over its pieces."""

    def __init__(self, image: ImageFacts, seed: int) -> None:
        assert image.header is not None
        self.image = image
        self.seed = seed
        size = f"{image.header.height} {image.header.width}"
        self.digest = hashlib.blake2b(size.encode(), digest_size=16)
        self.first: np.ndarray | None = None
        self.flat = True

    def add(self, bands: np.ndarray, numbers: tuple[int, ...], valid: np.ndarray) -> None:
        """Add bands (C, h, w), whose numbers are given; valid (h, w)."""
        self.image.pixels += valid.size
        self.image.valid += int(valid.sum())
        pixels = np.ascontiguousarray(bands)
        self.digest.update(str(pixels.dtype).encode())
        self.digest.update(pixels.data)
        self.first = pixels[:, 0, 0] if self.first is None else self.first
        self.flat = self.flat and bool((pixels == self.first[:, None, None]).all())
        for number, band in dict(zip(numbers, pixels, strict=True)).items():
            known = self.image.bands.setdefault(number, BandStatistics(self.seed))
            known.add(band if valid.all() else band[valid])

    def close(self) -> None:
        self.image.digest = self.digest.hexdigest()
        self.image.flat = self.flat or self.image.valid == 0


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
    yield from judge_remarks({i.path: i.header for i in images if i.header}, masks=False)
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
