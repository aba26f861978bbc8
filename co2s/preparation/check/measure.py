"""Measuring one image and its mask: each is opened once, rasters are read block by block.

Whatever a file does, the measurement comes back: with figures, or with the problem.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from co2s.data.reading.rasters import Window, is_raster
from co2s.data.spec import DatasetSpec

from .fitting import both_rasters, fitting, image_problem
from .headers import Problem, said, try_header
from .image_facts import BLOCK, ImageFacts, ImageSums, decoded
from .lists import Pair
from .mask_facts import MaskCount, MaskFacts

Piece = tuple[Window, np.ndarray | None]  # a place, and which of its pixels are valid (None: all)


@dataclass
class Measurement:
    """The two halves of a pair; `mask` None: it is unlabelled."""

    image: ImageFacts
    mask: MaskFacts | None


def measure(pair: Pair, spec: DatasetSpec, quick: bool = False) -> Measurement:
    """All figures of a pair. quick: the image's header only, and of a mask what samples need."""
    cv2.setNumThreads(1)
    image = ImageFacts(pair.image)
    mask = MaskFacts(pair.mask) if pair.mask else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files without a place on earth
        image.header, image.problem = try_header(pair.image, is_raster(pair.image, spec.raster))
        if mask is not None:
            _open_mask(mask, image, spec)
        _walk(pair, image, mask, spec, quick)
    if image.header is not None and image.problem is None:
        image.problem = image_problem(pair.image, image.header, spec.raster)
    return Measurement(image, mask)


def _open_mask(mask: MaskFacts, image: ImageFacts, spec: DatasetSpec) -> None:
    """Header of the mask, and whether it fits its image."""
    as_raster = both_rasters(image.path, mask.path, spec)
    mask.header, mask.problem = try_header(mask.path, as_raster)
    if mask.header is None or image.header is None:
        return
    mask.problem, mask.warp = fitting((image.path, image.header), (mask.path, mask.header), spec)


def _walk(
    pair: Pair, image: ImageFacts, mask: MaskFacts | None, spec: DatasetSpec, quick: bool
) -> None:
    """Go through the image's pieces, and through the same ones of its mask."""
    counting = None
    if mask is not None and mask.problem is None and mask.header is not None:
        counting = MaskCount(mask, pair, spec)
    pieces = _places(pair, image, spec) if quick else _pieces(pair, image, spec)
    try:
        for place, valid in pieces:
            if counting is not None:
                counting.add(place, valid)
    except Exception as error:  # whatever a damaged file makes a decoder raise
        image.problem = Problem("unreadable", said(error, image.path))
        image.bands, image.digest = {}, ""
    if counting is not None:
        counting.close()


def _places(pair: Pair, image: ImageFacts, spec: DatasetSpec) -> Iterator[Piece]:
    """Places without a look at the image: of samples; of a whole raster a block in its middle."""
    if image.header is None:
        return
    height, width = image.header.height, image.header.width
    side = BLOCK if is_raster(pair.image, spec.raster) else max(height, width)
    h, w = min(height, side), min(width, side)
    for window in pair.windows:
        yield window or ((height - h) // 2, (width - w) // 2, h, w), None


def _pieces(pair: Pair, image: ImageFacts, spec: DatasetSpec) -> Iterator[Piece]:
    """Read the image piece by piece, into its facts."""
    if image.header is None:
        return
    sums = ImageSums(image, pair.number) if pair.first else None
    for place, bands, numbers, valid in decoded(image, spec.raster):
        if sums is not None:
            sums.add(bands, numbers, valid)
        yield place, None if valid.all() else valid
    if sums is not None:
        sums.close()
