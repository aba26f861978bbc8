"""Whether an image can be used as its spec says, and whether a mask fits its image."""

from co2s.data.reading.alignment import read_label_raster
from co2s.data.reading.rasters import is_raster
from co2s.data.spec import DatasetSpec
from co2s.data.spec.raster import RasterSpec

from .headers import Header, Problem


def both_rasters(image: str, mask: str, spec: DatasetSpec) -> bool:
    """Whether a mask is brought onto its image's grid, as `load_classes` does."""
    return is_raster(mask, None) and is_raster(image, spec.raster)


def fitting(
    image: tuple[str, Header], mask: tuple[str, Header], spec: DatasetSpec
) -> tuple[Problem | None, str]:
    """What keeps a mask from its image, and how far their grids differ ("": not at all)."""
    (image_path, a), (mask_path, b) = image, mask
    if not both_rasters(image_path, mask_path, spec):
        if (a.height, a.width) == (b.height, b.width):
            return None, ""
        sizes = f"{b.height} x {b.width} pixels, image {a.height} x {a.width}"
        return Problem("size", f"{mask_path}: mask {sizes}"), ""
    try:  # a corner pixel is enough to be refused
        read_label_raster(mask_path, (1,), image_path, (0, 0, 1, 1))
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
    if image.crs == mask.crs and pixel is not None:
        x = (mask.transform[0] - image.transform[0]) / (pixel[0] or 1.0)
        y = (mask.transform[3] - image.transform[3]) / (pixel[1] or 1.0)
        words += f", shifted by {x:+.3g}, {0.0 - y:+.3g} pixels (right, down)"
    return words


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    step = abs(one[1]) * 1e-3 or 1e-3  # a thousandth of a pixel, as in alignment.py
    return all(abs(a - b) < step for a, b in zip(one, other, strict=True))


def image_problem(path: str, header: Header, raster: RasterSpec | None) -> Problem | None:
    """Why training would refuse an image that can be read: bands that lack, no scale to 8 bits."""
    if not is_raster(path, raster):
        return None  # read_image finds out and says so
    spec = raster or RasterSpec()
    if max(spec.bands) > header.bands:
        return Problem("bands", f"it has {header.bands}, asked for are {list(spec.bands)}")
    if header.dtype != "uint8" and spec.scale is None:
        return Problem("scale", f"{header.dtype} values and no `raster.scale`")
    return None
