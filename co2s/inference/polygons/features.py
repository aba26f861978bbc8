"""The features of a class map's polygons, in batches, as its strips come to be known."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from co2s.data.reading.rasters import opened
from co2s.optional import import_extra

from ..products import NODATA, SCALE, band_named, classes_of
from .components import label_components
from .outlines import outlines
from .rings import Rings, concatenated, simplified
from .sieve import sieved
from .stitching import Component, Pieces, Unfinished
from .strips import Strip, framed, read_rows, read_strips
from .surface import Surface
from .vector_files import GEOMETRY

# Corners of polygons that are turned into features at a time.
BATCH = 2**18


class MapSource(NamedTuple):
    """A class map, opened once to see what it is."""

    path: Path
    height: int
    width: int
    surface: Surface
    names: dict[int, str]  # of the classes, by value
    confidence: tuple[Path, int] | None  # file and band

    @classmethod
    def read(cls, path: Path, confidence: Path | None) -> "MapSource":
        with opened(str(path)) as source:
            names = {entry.value: entry.name for entry in classes_of(source)}
            size, surface = source.shape, Surface.of(source)
        band = None
        if confidence is not None:
            band = confidence, band_named(confidence, "confidence")
            with opened(str(confidence)) as other:
                if other.shape != size:
                    raise ValueError(
                        f"{confidence} has {other.shape[0]} x {other.shape[1]} pixels, the map "
                        f"{path} {size[0]} x {size[1]}: they are not of the same scene."
                    )
        return cls(path, size[0], size[1], surface, names, band)


class Features:
    """The polygons of a class map as Arrow batches; what they add up to."""

    def __init__(self, source: MapSource) -> None:
        self._source = source
        self.count = 0
        self.areas = dict.fromkeys(source.names.values(), 0.0)
        pyarrow = import_extra("pyarrow", "geo")
        fields = [("class", pyarrow.string()), ("value", pyarrow.int32())]
        fields += [("area", pyarrow.float64())]
        fields += [("confidence", pyarrow.float64())] if source.confidence else []
        self.schema = pyarrow.schema([*fields, (GEOMETRY, pyarrow.binary())])

    def batches(self, min_pixels: int, tolerance: float) -> Iterator[Any]:
        """Record batches of features, as the map's strips come to be known."""
        source = self._source
        strips = read_strips(source.path, source.height, source.width)
        if min_pixels > 1:
            strips = sieved(strips, min_pixels)
        unfinished = Unfinished()
        for strip in framed(strips):
            pieces = self._pieces(strip)
            rings = outlines(strip, pieces.labels)
            if tolerance and len(rings.owners):
                rings = simplified(rings, tolerance)
            is_crossing = pieces.crossing()[rings.owners]
            yield from self._whole(pieces, rings.take(np.flatnonzero(~is_crossing)))
            ended = unfinished.add(pieces, rings.take(np.flatnonzero(is_crossing)))
            yield from self._ended(ended)

    def _pieces(self, strip: Strip) -> Pieces:
        labels, count = label_components(strip.classes)
        flat = labels.ravel()
        values = np.zeros(count + 1, np.int64)
        values[flat] = strip.classes.ravel()
        totals: np.ndarray = np.zeros(count + 1)
        pixels: np.ndarray = np.zeros(count + 1, np.int64)
        if self._source.confidence:
            path, band = self._source.confidence
            stored = read_rows(path, band, strip.top, len(strip.classes)).ravel()
            known = stored != NODATA
            totals = np.bincount(flat[known], stored[known], count + 1)
            pixels = np.bincount(flat[known], minlength=count + 1)
        return Pieces(strip, labels, values, totals, pixels)

    def _whole(self, pieces: Pieces, rings: Rings) -> Iterator[Any]:
        """Features of the components that lie in one strip."""
        firsts = rings.firsts()
        begins = firsts[np.flatnonzero(np.diff(rings.offsets[firsts] // BATCH, prepend=-1))]
        for first, end in pairwise([*begins.tolist(), len(rings.owners)]):
            some = rings.take(np.arange(first, end))
            labels = some.owners[some.firsts()]
            yield self._batch(some, *(column[labels] for column in pieces.columns()))

    def _ended(self, components: Iterator[Component]) -> Iterator[Any]:
        """Features of the components that were put together of several strips."""
        held: list[Component] = []
        rings: list[Rings] = []
        corners = 0
        for component in components:
            own = component.rings()
            rings.append(own._replace(owners=np.full_like(own.owners, len(held))))
            held.append(component)
            corners += len(own.points)
            if corners >= BATCH:
                yield self._batch(concatenated(rings), *_columns(held))
                held, rings, corners = [], [], 0
        if held:
            yield self._batch(concatenated(rings), *_columns(held))

    def _batch(
        self, rings: Rings, values: np.ndarray, totals: np.ndarray, pixels: np.ndarray
    ) -> Any:
        pyarrow, shapely = import_extra("pyarrow", "geo"), import_extra("shapely", "geo")
        areas = self._source.surface.areas(rings)
        names = [self._name(value) for value in values.tolist()]
        self.count += len(names)
        for name, area in zip(names, areas.tolist(), strict=True):
            self.areas[name] += area
        polygons = rings.polygons(self._source.surface.places(rings.points))
        polygons = shapely.orient_polygons(polygons, exterior_cw=False)
        columns = [names, values, areas]
        if self._source.confidence:
            columns.append(
                [t / (SCALE * n) if n else None for t, n in zip(totals, pixels, strict=True)]
            )
        columns.append(shapely.to_wkb(polygons))
        arrays = [
            pyarrow.array(column, field.type)
            for column, field in zip(columns, self.schema, strict=True)
        ]
        return pyarrow.record_batch(arrays, schema=self.schema)

    def _name(self, value: int) -> str:
        if value not in self._source.names:
            raise ValueError(
                f"{self._source.path} has pixels of value {value}, which none of its classes has: "
                f"{self._source.names}."
            )
        return self._source.names[value]


def _columns(components: list[Component]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([component.value for component in components]),
        np.array([component.total for component in components]),
        np.array([component.pixels for component in components]),
    )
