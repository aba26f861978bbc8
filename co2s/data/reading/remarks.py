"""What a file's header says and the dataset's spec sees otherwise: for people to know."""

from typing import Any

from ..spec import DatasetSpec
from ..spec.raster import RasterSpec
from .formats import is_raster
from .labels import is_declared, shown
from .orientation import UPRIGHT, orientation_of
from .rasters import has_all_bands, is_alpha, opened


def header_remarks(path: str, spec: DatasetSpec, mask: bool = False) -> list[str]:
    """Sentences about an image, or a mask, of the dataset; [] where header and spec agree.

    They start with small letters and name no file: the same sentence of many files is one remark.
    ValueError names a file that cannot be read.
    """
    if mask and spec.labels.drawn_from is not None:
        return []
    raster = None if mask else spec.raster
    remarks = []
    if is_raster(path, raster):
        with opened(path) as source:
            remarks = _of_mask(source, spec) if mask else _of_image(source, raster)
            placed = source.crs is not None or not source.transform.is_identity
    else:
        placed = False
    turn = orientation_of(path)
    if turn != UPRIGHT:
        done = "the georeference counts, not the tag" if placed else "it is turned upright"
        remarks.append(f"EXIF orientation {turn}: {done}")
    return remarks


def _of_image(source: Any, raster: RasterSpec | None) -> list[str]:
    raster = raster or RasterSpec()
    if not has_all_bands(source.count, raster):
        return []  # grey or a palette; its alpha is alpha
    remarks = [
        f"the header flags band {band} as alpha; raster.bands names it, so it is read as data"
        for band in dict.fromkeys(raster.bands)
        if is_alpha(source, band)
    ]
    own, said = source.nodata, raster.nodata
    if own is not None and said is not None and not (own == said or (own != own and said != said)):
        remarks.append(
            f"the header's nodata is {shown(own)}; raster.nodata says {shown(said)}, which counts"
        )
    return remarks


def _of_mask(source: Any, spec: DatasetSpec) -> list[str]:
    remarks = []
    band = spec.labels.band or 1
    nodata = source.nodata
    if nodata is not None and is_declared(nodata, spec, spec.labels.encoding):
        remarks.append(
            f"the header calls {shown(nodata)} nodata; `labels` make it a class, so it is read as "
            "that class. If it is not labelled, put it into labels.ignore"
        )
    if spec.labels.band is not None and band <= source.count and is_alpha(source, band):
        remarks.append(f"the header flags band {band} as alpha; labels.band reads it as numbers")
    return remarks
