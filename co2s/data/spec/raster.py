"""RasterSpec: how the images of a dataset become 8-bit bands that a model sees."""

from dataclasses import dataclass
from math import isfinite

METHODS = ("range", "percentile", "statistics")
RGB_BANDS = (1, 2, 3)


@dataclass(frozen=True)
class ScaleSpec:
    """How values become 0..255, band by band, clipped.

    "range": `low` and `high` of each band, or one of each for all. "percentile": of each file's
    valid pixels, `low` and `high` in percent. "statistics": mean -+ `deviations` standard
    deviations of the whole dataset, from the file that the dataset check writes.
    """

    method: str
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    file: str = ""
    deviations: float = 2.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"raster.scale must be one of {METHODS}, found {self.method!r}.")
        pairs = list(zip(self.low, self.high, strict=True))
        if not all(low < high and isfinite(high - low) for low, high in pairs):
            raise ValueError(f"raster.scale: low must be below high, both finite, found {pairs}.")
        if self.method == "percentile" and not all(0 <= v <= 100 for p in pairs for v in p):
            raise ValueError(f"raster.scale.percentile is in percent, 0 to 100, found {pairs}.")
        if self.method == "statistics" and not (self.file and self.deviations > 0):
            raise ValueError("raster.scale.statistics needs a file and deviations above 0.")


@dataclass(frozen=True)
class RasterSpec:
    """Which bands of a file are read, in which order, and how they are scaled.

    `bands`: numbers from 1 on; the first three are taken for red, green and blue where colour
    matters (colour jitter, pictures). `nodata` counts in place of what a file says itself, and so
    does `resolution`: metres on the ground that one pixel covers.
    """

    bands: tuple[int, ...] = RGB_BANDS
    scale: ScaleSpec | None = None
    nodata: float | None = None
    resolution: float | None = None

    def __post_init__(self) -> None:
        if len(self.bands) < 3 or not all(type(b) is int and b > 0 for b in self.bands):
            raise ValueError(
                f"raster.bands must be at least three band numbers from 1 on, found "
                f"{list(self.bands)}. A single band may be repeated: [1, 1, 1]."
            )
        if self.resolution is not None and not 0 < self.resolution < float("inf"):
            raise ValueError(
                f"raster.resolution is in metres per pixel, above 0, found {self.resolution!r}."
            )
        if self.scale and len(self.scale.low) not in (0, 1, len(self.bands)):
            raise ValueError(
                f"raster.scale has {len(self.scale.low)} pairs for {len(self.bands)} bands; give "
                "one for all or one for each."
            )
