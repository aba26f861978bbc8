"""Headers of images and masks: what a file says of itself before a pixel is decoded."""

import warnings
from dataclasses import dataclass

from PIL import Image

from co2s.data.reading.rasters import opened

_DEPTHS = {"1": "bool", "I": "int32", "F": "float32"}  # of Pillow's modes; the others are uint8


@dataclass(frozen=True)
class Header:
    """Size in pixels, bands, kind of the numbers and, for rasters, the place on earth.

    `kind`: "numbers" (one band), "palette" or "colours". `transform`: six numbers, as GDAL's.
    """

    height: int
    width: int
    bands: int
    dtype: str
    kind: str
    crs: str | None = None
    transform: tuple[float, ...] = ()

    @property
    def resolution(self) -> tuple[float, float] | None:
        """Size of a pixel (x, y) in units of the CRS; None where there is no CRS."""
        if self.crs is None or not self.transform:
            return None
        return abs(self.transform[1]), abs(self.transform[5])

    def place(self) -> str:
        """CRS and pixel size in words."""
        if self.resolution is None:
            return "no CRS"
        return f"{self.crs} at {self.resolution[0]:.6g} x {self.resolution[1]:.6g} a pixel"


@dataclass(frozen=True)
class Problem:
    """Why a file is of no use: the kind of a finding, and words."""

    kind: str
    text: str


def try_header(path: str, as_raster: bool) -> tuple[Header | None, Problem | None]:
    """The header, as rasterio or Pillow sees it, or why there is none."""
    try:
        return (_from_raster if as_raster else _from_picture)(path), None
    except Exception as error:  # whatever a damaged file makes a decoder raise
        return None, Problem("unreadable", said(error, path))


def said(error: Exception, path: str) -> str:
    """The words of an error, with the file that it is about."""
    words = str(error) or type(error).__name__
    return words if path in words else f"{path}: {words}"


def _from_raster(path: str) -> Header:
    with warnings.catch_warnings():  # a picture without a place on earth is nothing to warn of
        warnings.simplefilter("ignore")
        with opened(path) as source:
            palette = source.count == 1 and source.colorinterp[0].name == "palette"
            return Header(
                height=source.height,
                width=source.width,
                bands=source.count,
                dtype=source.dtypes[0],
                kind="palette" if palette else "colours" if source.count >= 3 else "numbers",
                crs=source.crs.to_string() if source.crs else None,
                transform=source.transform.to_gdal(),
            )


def _from_picture(path: str) -> Header:
    with Image.open(path) as image:
        mode, bands = image.mode, len(image.getbands())
        kind = "palette" if mode in ("P", "PA") else "colours" if bands >= 3 else "numbers"
        dtype = "uint16" if mode.startswith("I;16") else _DEPTHS.get(mode, "uint8")
        return Header(image.height, image.width, bands, dtype, kind)
