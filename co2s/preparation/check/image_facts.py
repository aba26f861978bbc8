"""Reading an image block by block: its digest, its holes and the statistics of its bands."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from co2s.data.reading.io import read_image
from co2s.data.reading.rasters import Window, is_raster, opened, rasterio_window, raw_pixels
from co2s.data.spec.raster import RasterSpec
from co2s.optional import import_extra

from .headers import Header, Problem
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
        rgb, known = read_image(image.path)
        height, width = rgb.shape[:2]
        valid = np.ones((height, width), bool) if known is None else known
        yield (0, 0, height, width), rgb.transpose(2, 0, 1), (1, 2, 3), valid
        return
    spec = raster or RasterSpec()
    if max(spec.bands) > image.header.bands:
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
