"""What a checkpoint carries of the dataset that trained it, so that it can predict without it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from .catalog import get_records, get_spec
from .reading.formats import is_raster
from .reading.io import image_size
from .reading.rasters import opened
from .reading.resolution import ground_resolution
from .reading.scaling import limits
from .records import Record
from .spec import DatasetSpec, RasterSpec, ScaleSpec

logger = logging.getLogger(__name__)

KEY = "dataset"  # of a checkpoint
SAMPLE = 8  # images whose size and resolution are looked at
ALIKE = 0.05  # by so much resolutions may differ and still be called one


@dataclass(frozen=True)
class CarriedClass:
    """A class of the maps: its name and its colour (red, green, blue)."""

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class Carried:
    """The facts of a dataset that prediction needs.

    raster: how its images are read; None: as 8-bit RGB. resolution: metres on the ground that a
    pixel covers, size: height and width of its images in pixels; None where nothing says so.
    """

    name: str
    classes: tuple[CarriedClass, ...]
    raster: RasterSpec | None = None
    resolution: float | None = None
    size: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint or JSON, which has no number NaN."""
        content = asdict(self)
        if self.raster is not None and self.raster.nodata is not None:
            content["raster"]["nodata"] = str(self.raster.nodata)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Carried":
        raster, size = content["raster"], content["size"]
        classes = (CarriedClass(c["name"], tuple(c["color"])) for c in content["classes"])
        return cls(
            content["name"],
            tuple(classes),
            None if raster is None else _raster(raster),
            content["resolution"],
            None if size is None else tuple(size),
        )

    @classmethod
    def read(cls, weights: Path) -> "Carried | None":
        """That of a checkpoint; None where it carries none, as those of others do."""
        content = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
        known = content.get(KEY) if isinstance(content, dict) else None
        return None if known is None else cls.from_dict(known)


def carried_of(names: Sequence[str]) -> Carried | None:
    """What the first of registered names brings; None where there is none.

    A resolution in the dataset's YAML goes before the one that its rasters have.
    """
    if not names:
        return None
    spec, records = get_spec(names[0]), get_records(names[0])[:SAMPLE]
    classes = tuple(CarriedClass(entry.name, entry.color) for entry in spec.classes)
    given = spec.raster.resolution if spec.raster else None
    resolution = _measured(spec, records) if given is None else given
    size = _size(records[0], spec)
    return Carried(spec.name, classes, _self_contained(spec.raster), resolution, size)


def facts_of(names: Sequence[str]) -> dict[str, Any]:
    """What a checkpoint is to carry of registered names, by its key there."""
    carried = carried_of(names)
    return {} if carried is None else {KEY: carried.to_dict()}


def _size(record: Record, spec: DatasetSpec) -> tuple[int, int]:
    window = record.get("window")
    return (window[2], window[3]) if window else image_size(record["file_name"], spec.raster)


def _measured(spec: DatasetSpec, records: Sequence[Record]) -> float | None:
    """The median over some images; a warning where they differ."""
    found = []
    for path in dict.fromkeys(record["file_name"] for record in records):
        if is_raster(path, spec.raster):
            with opened(path) as source:
                found.append(ground_resolution(source))
    known = [value for value in found if value is not None]
    if not known:
        return None
    middle = median(known)
    if max(known) > middle * (1 + ALIKE) or min(known) < middle * (1 - ALIKE):
        logger.warning(
            "The images of '%s' have pixels of %.3g to %.3g m; their median, %.3g m, counts as the "
            "resolution that the model has learned. `raster.resolution` in its YAML sets another.",
            *(spec.name, min(known), max(known), middle),
        )
    return middle


def _self_contained(raster: RasterSpec | None) -> RasterSpec | None:
    """The same rules without a file: statistics become the range that they stand for."""
    if raster is None or raster.scale is None or raster.scale.method != "statistics":
        return raster
    ends = limits(raster, "", lambda: None)  # type: ignore[arg-type,return-value]
    assert ends is not None
    low, high = (tuple(float(value) for value in end) for end in ends)
    return replace(raster, scale=ScaleSpec("range", low, high))


def _raster(content: Mapping[str, Any]) -> RasterSpec:
    scale = content["scale"]
    if scale is not None:
        scale = ScaleSpec(**{**scale, "low": tuple(scale["low"]), "high": tuple(scale["high"])})
    nodata = None if content["nodata"] is None else float(content["nodata"])
    own = {"bands": tuple(content["bands"]), "scale": scale, "nodata": nodata}
    return RasterSpec(**{**content, **own})
