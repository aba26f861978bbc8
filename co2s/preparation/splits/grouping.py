"""Groups: images that must not be parted, because they show one scene or one piece of ground."""

import re
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from co2s.data.reading.rasters import opened, ordered_bounds

from .sources import Sample, regrouped


def group_samples(
    samples: Sequence[Sample], root: Path, scene: str | None, blocks: float | None
) -> tuple[list[Sample], np.ndarray | None]:
    """The samples in groups by scene or by blocks, and for blocks the ground (N, 4) of each.

    Without either each sample is its own group. ValueError names an image that has a mask and
    fits no scene; one without is a group of its own.
    """
    images = [sample.image for sample in samples]
    if blocks is not None:
        names, bounds = groups_by_blocks([str(root / image) for image in images], blocks)
        return regrouped(samples, names), bounds
    if scene is None:
        return list(samples), None
    scenes = groups_by_name(images, scene)
    pairs = list(zip(samples, scenes, strict=True))
    strange = [sample.image for sample, group in pairs if group is None and sample.label]
    if strange:
        raise ValueError(
            f"{len(strange)} of {len(images)} images do not fit --scene '{scene}', the first: "
            f"{strange[0]}."
        )
    return regrouped(samples, [group or sample.image for sample, group in pairs]), None


def groups_by_name(images: Sequence[str], pattern: str) -> list[str | None]:
    """The `{scene}` of every image by a pattern of its file name, "{scene}_{y}_{x}.png".

    The pattern stands for the end of the path; its first parts take as much as they can, so a
    scene's name may hold the signs that part it from the rest. None: the image does not fit.
    """
    shape = re.compile(f"(?:.*/)?{_expression(pattern)}")
    matches = [shape.fullmatch(image) for image in images]
    return [match["scene"] if match else None for match in matches]


def groups_by_blocks(paths: Sequence[str], size: float) -> tuple[list[str], np.ndarray]:
    """The square block that each raster's centre lies in, and all bounds (N, 4).

    Only headers are read. `size` and bounds (left, bottom, right, top) are in units of the CRS.
    ValueError where a file has no CRS, or another one than the first.
    """
    if not size > 0:
        raise ValueError(f"--blocks must be a length above 0 in units of the CRS, found {size}.")
    bounds = np.zeros((len(paths), 4))
    first = None
    for number, path in enumerate(paths):
        with opened(path) as source:
            crs, bounds[number] = source.crs, ordered_bounds(source)
        if crs is None:
            raise ValueError(
                f"{path} has no CRS, so it lies in no block. Group by file names: --scene."
            )
        first = first or crs
        if crs != first:
            raise ValueError(
                f"{path} has the CRS {crs}, {paths[0]} has {first}. Blocks need one CRS for all: "
                "reproject them, or group by file names: --scene."
            )
    columns = np.floor((bounds[:, 0] + bounds[:, 2]) / 2 / size).astype(int)
    rows = np.floor((bounds[:, 1] + bounds[:, 3]) / 2 / size).astype(int)
    return [f"{x}_{y}" for x, y in zip(columns, rows, strict=True)], bounds


def shares_ground(bounds: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) bool: which of the bounds (N, 4) overlap one of the others; touching is not enough."""
    shared = np.zeros(len(bounds), bool)
    # A thousandth of a tile is rounding in a header, not common ground.
    slack = 1e-3 * (bounds[:, 2:] - bounds[:, :2])
    for left, bottom, right, top in others:
        inside = (bounds[:, 0] + slack[:, 0] < right) & (bounds[:, 2] - slack[:, 0] > left)
        shared |= (
            inside & (bounds[:, 1] + slack[:, 1] < top) & (bounds[:, 3] - slack[:, 1] > bottom)
        )
    return shared


def _expression(pattern: str) -> str:
    parts: set[str] = set()
    expression = ""
    try:
        for text, name, _, _ in string.Formatter().parse(pattern):
            expression += re.escape(text)
            if name is not None:
                expression += f"(?P={name})" if name in parts else f"(?P<{name}>[^/]+)"
                parts.add(name)
        re.compile(expression)
    except (ValueError, re.error) as error:
        raise ValueError(
            f"--scene has a pattern that cannot be read, {pattern!r}: {error}"
        ) from None
    if "scene" not in parts:
        raise ValueError(
            f"--scene must name the part {{scene}}, as in '{{scene}}_{{y}}_{{x}}.png'; found "
            f"{pattern!r}."
        )
    return expression
