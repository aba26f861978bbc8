"""Headers of images and masks: what a file says of itself, and whether the two fit together."""

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from co2s.data.reading.alignment import opened_mask
from co2s.data.reading.coco import annotated
from co2s.data.reading.formats import is_raster
from co2s.data.reading.io import image_size
from co2s.data.reading.labels import on_grid_of
from co2s.data.reading.opening import open_picture
from co2s.data.reading.pictures import picture_size
from co2s.data.reading.rasters import (
    has_all_bands,
    is_alpha,
    opened,
    palette_of,
    stands_for_rgb,
)
from co2s.data.reading.remarks import header_remarks
from co2s.data.spec import DatasetSpec
from co2s.data.spec.raster import RasterSpec

from .report import INFO, WARNING, Finding, about, plural

COLOUR_TABLE = "a colour table, of which the numbers count (`encoding: index`)"
_DEPTHS = {"1": "bool", "I": "int32", "F": "float32"}  # of Pillow's modes; the others are uint8


@dataclass(frozen=True)
class Header:
    """Size in pixels, bands, kind of the numbers and, for rasters, the place on earth.

    `kind`: "numbers" (one band), "palette", "colours" or "outlines". `transform`: six numbers, as
    GDAL's. In words: `remarks`, what the file says and the project reads otherwise, and `unused`,
    what it does not read; the same sentence of many files is one finding.
    """

    height: int
    width: int
    bands: int
    dtype: str
    kind: str
    crs: str | None = None
    transform: tuple[float, ...] = ()
    remarks: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

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


def try_header(
    path: str, spec: DatasetSpec, mask_of: str | None = None
) -> tuple[Header | None, Problem | None]:
    """The header of an image or of its mask, as the reader sees it, or why there is none."""
    try:
        if mask_of is not None and spec.labels.drawn_from is not None:
            return _from_outlines(path, mask_of, spec), None
        as_raster = is_raster(path, None if mask_of else spec.raster)
        header = (_from_raster if as_raster else _from_picture)(path, spec, mask_of is not None)
        remarks = header_remarks(path, spec, mask_of is not None)
        return replace(header, remarks=tuple(remarks)), None
    except Exception as error:  # whatever a damaged file makes a decoder raise
        return None, Problem("unreadable", said(error, path))


def said(error: Exception, path: str) -> str:
    """The words of an error, with the file that it is about and without places in memory."""
    words = re.sub(r" ?<[^<>]* at 0x[0-9a-f]+>", "", str(error)) or type(error).__name__
    return words if path in words else f"{path}: {words}"


def _from_raster(path: str, spec: DatasetSpec, mask: bool) -> Header:
    with warnings.catch_warnings():  # a picture without a place on earth is nothing to warn of
        warnings.simplefilter("ignore")
        with opened(path) as source:
            palette = palette_of(source) is not None
            return Header(
                height=source.height,
                width=source.width,
                bands=source.count,
                dtype=source.dtypes[0],
                kind="palette" if palette else "colours" if source.count >= 3 else "numbers",
                crs=source.crs.to_string() if source.crs else None,
                transform=source.transform.to_gdal(),
                unused=tuple(unused_of_raster(source, spec, mask)),
            )


def _from_picture(path: str, spec: DatasetSpec, mask: bool) -> Header:
    height, width = picture_size(path)
    with open_picture(path) as image:
        mode, bands = image.mode, len(image.getbands())
        kind = "palette" if mode in ("P", "PA") else "colours" if bands >= 3 else "numbers"
        dtype = "uint16" if mode.startswith("I;16") else _DEPTHS.get(mode, "uint8")
        unused = tuple(unused_of_picture(image, spec, mask))
        return Header(height, width, bands, dtype, kind, unused=unused)


def _from_outlines(path: str, image: str, spec: DatasetSpec) -> Header:
    if spec.labels.encoding == "coco":
        entry = annotated(path, image)
        return Header(entry.height, entry.width, 1, "uint8", "outlines")
    return Header(*image_size(image, spec.raster), 1, "uint8", "outlines")  # on the image's grid


def unused_of_raster(source: Any, spec: DatasetSpec, mask: bool) -> Iterator[str]:
    """Sentences about an open raster: bands, tags and places that are left aside."""
    raster = spec.raster or RasterSpec()
    if mask:
        yield from _of_mask_bands(source, spec)
    elif has_all_bands(source.count, raster):
        left = [n for n in range(1, source.count + 1) if n not in raster.bands]
        left = [n for n in left if not is_alpha(source, n)]  # it says which pixels are valid
        if left:
            yield f"the bands {left} are not read (`raster.bands` is {list(raster.bands)})"
    if any(scale != 1 for scale in source.scales) or any(source.offsets):
        pairs = sorted(set(zip(source.scales, source.offsets, strict=True)))
        found = ", ".join(f"value x {scale:g} + {offset:g}" for scale, offset in pairs)
        yield f"tags of scale and offset ({found}): values are taken as they are stored"
    if source.crs is None and source.gcps[0]:
        yield f"{len(source.gcps[0])} ground control points: the file counts as without a place"
    if source.crs is None and source.rpcs is not None:
        yield "a camera model (RPC): the file counts as without a place"
    if source.subdatasets:
        yield f"{len(source.subdatasets)} pictures in one file: the first is read"


def _of_mask_bands(source: Any, spec: DatasetSpec) -> Iterator[str]:
    labels = spec.labels
    if labels.encoding == "index" and palette_of(source) is not None:
        yield COLOUR_TABLE
    plain = [n for n in range(1, source.count + 1) if not is_alpha(source, n)]
    read = {1, 2, 3} if labels.encoding == "color" else {labels.band or 1}
    shown = [interpretation.name for interpretation in source.colorinterp[:3]]
    if labels.encoding == "index" and not labels.band and shown == ["red", "green", "blue"]:
        read = {1, 2, 3}  # three equal bands are one
    if left := [n for n in plain if n not in read]:
        yield f"the bands {left} are not read (`labels.band` says which holds the classes)"


def unused_of_picture(image: Image.Image, spec: DatasetSpec, mask: bool) -> Iterator[str]:
    """Sentences about an open PNG, JPEG, ...: several pictures in one, a mask's colour table."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # cameras put a preview behind the photograph
        yield f"{frames} pictures in one file: the first is read"
    if mask and spec.labels.encoding == "index" and image.mode in ("P", "PA"):
        yield COLOUR_TABLE


def fitting(
    image: tuple[str, Header], mask: tuple[str, Header], spec: DatasetSpec
) -> tuple[Problem | None, str]:
    """What keeps a mask from its image, and how far their grids differ ("": not at all)."""
    (image_path, a), (mask_path, b) = image, mask
    if b.kind == "outlines" or not on_grid_of(mask_path, image_path, spec):
        if (a.height, a.width) == (b.height, b.width):
            return None, ""
        sizes = f"{b.height} x {b.width} pixels, image {a.height} x {a.width}"
        turned = [remark for remark in (*a.remarks, *b.remarks) if "orientation" in remark]
        return Problem("size", "; ".join([f"{mask_path}: mask {sizes}", *turned])), ""
    try:  # a corner pixel is enough to be refused
        with opened_mask(mask_path, "index", 1, image_path) as read:
            read((0, 0, 1, 1))
    except ValueError as error:
        apart = a.crs is not None and b.crs is not None
        kind = "unreadable" if error.__cause__ else "no overlap" if apart else "size"
        return Problem(kind, str(error)), ""
    return None, _warp(a, b)


def _warp(image: Header, mask: Header) -> str:
    """The difference of two grids in words, where the mask is warped onto the image's."""
    if image.crs is None or mask.crs is None:
        return ""
    same_grid = _close(image.transform, mask.transform) and image.crs == mask.crs
    if same_grid and (image.height, image.width) == (mask.height, mask.width):
        return ""
    words = f"mask {mask.place()}, image {image.place()}"
    pixel = image.resolution
    if (image.transform[5] > 0) != (mask.transform[5] > 0):
        words += ", one of them with its rows from south to north"
    elif image.crs == mask.crs and pixel is not None:
        x = (mask.transform[0] - image.transform[0]) / (pixel[0] or 1.0)
        y = (mask.transform[3] - image.transform[3]) / (pixel[1] or 1.0)
        words += f", shifted by {x:+.3g}, {0.0 - y:+.3g} pixels (right, down)"
    return words


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    step = abs(one[1]) * 1e-3 or 1e-3  # a thousandth of a pixel, as in alignment.py
    return all(abs(a - b) < step for a, b in zip(one, other, strict=True))


def judge_remarks(headers: Mapping[str, Header], masks: bool) -> Iterator[Finding]:
    """What headers say and the spec sees otherwise, or nobody reads; headers by their files.

    Where masks are read otherwise than their headers say, labels are at stake: a warning.
    """
    noun, severity = ("mask", WARNING) if masks else ("image", INFO)
    read_otherwise, unused = defaultdict(list), defaultdict(list)
    for path, header in headers.items():
        for remark in header.remarks:
            read_otherwise[remark].append(path)
        for remark in header.unused:
            unused[remark].append(path)
    for remark, paths in read_otherwise.items():
        yield about(severity, "header", paths, f"{plural(len(paths), noun)}: {remark}.")
    for remark, paths in unused.items():
        yield about(INFO, "unused", paths, f"{plural(len(paths), noun)}: {remark}.")


def image_problem(path: str, header: Header, raster: RasterSpec | None) -> Problem | None:
    """Why training would refuse an image that can be read: bands that lack, no scale to 8 bits."""
    spec = raster or RasterSpec()
    if is_raster(path, raster) and not bands_suffice(header, spec):
        return Problem("bands", f"it has {header.bands}, asked for are {list(spec.bands)}")
    if header.dtype not in ("uint8", "bool") and spec.scale is None:
        return Problem("scale", f"{header.dtype} values and no `raster.scale`")
    return None


def bands_suffice(header: Header, raster: RasterSpec) -> bool:
    """Whether a raster has what is read; a grey or palette file stands for RGB."""
    return has_all_bands(header.bands, raster) or stands_for_rgb(header.bands, raster)
