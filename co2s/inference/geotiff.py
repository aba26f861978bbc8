"""Products as Cloud-Optimised GeoTIFFs on the scene's grid, written row by row."""

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from co2s.data.reading.rasters import rasterio_window
from co2s.optional import import_extra

from .layers import Wanted
from .products import CLASSES_TAG, NODATA, SCALE, SCENE_TAG, MapClass, classes_as_text, product
from .scene import Raster

BLOCK = 512  # side of a tile, pixels; rows are handed on that many at a time
CACHE = 32  # MB that GDAL may keep of the files it has open


class NotWritten(OSError):
    """A product cannot be written: there is no room, or no leave."""


@contextmanager
def writing(path: Path) -> Iterator[Any]:
    """rasterio to write with; NotWritten where it fails, which rasterio tells of in many ways."""
    with gdal() as rasterio:
        try:
            yield rasterio
        except Exception as error:
            if not type(error).__module__.startswith("rasterio"):
                raise
            free = shutil.disk_usage(path.parent).free
            why = error.__cause__ or error
            raise NotWritten(
                f"{path.parent}: the maps cannot be written ({why}); {free / 1e6:.0f} MB are free."
            ) from error


def bound_memory() -> None:
    """Let GDAL keep little of what it reads: by itself it takes a share of the machine's memory.

    It asks once, when it reads first; where the user has set GDAL_CACHEMAX that counts.
    """
    os.environ.setdefault("GDAL_CACHEMAX", str(CACHE))


@contextmanager
def gdal() -> Iterator[Any]:
    """rasterio with GDAL's memory bounded, and no files of its own beside what it writes."""
    bound_memory()
    rasterio = import_extra("rasterio", "geo")
    with rasterio.Env(GDAL_PAM_ENABLED=False):
        yield rasterio


class GeoTiffs:
    """All products of a raster scene."""

    def __init__(
        self, stem: Path, scene: Raster, classes: Sequence[MapClass], wanted: Wanted
    ) -> None:
        """stem: the path of the class map without its suffix, in a folder of its own."""
        self.map, self.classes = stem.with_name(f"{stem.name}.tif"), classes
        self.names: dict[str, Sequence[str]] = {"map": ["class"]}
        if wanted.uncertainty:
            self.names["uncertainty"] = wanted.uncertainty
        if wanted.probabilities:
            self.names["probabilities"] = [entry.name for entry in classes]
        self.names |= {name: ["class"] for name in wanted.students}
        self._files = {
            kind: StripFile(self._draft(kind), scene, len(names))
            for kind, names in self.names.items()
        }

    def _draft(self, kind: str) -> Path:
        return self.map.with_name(f"{kind}.draft")

    def add(self, pixels: Mapping[str, np.ndarray]) -> None:
        """The next rows (bands, r, W) of every product."""
        for kind, file in self._files.items():
            file.add(pixels[kind])

    def finish(self) -> list[Path]:
        """The finished files, the class map first."""
        made = []
        for kind, file in self._files.items():
            is_classes = kind not in ("uncertainty", "probabilities")
            file.close(self.names[kind], self.classes if is_classes else None)
            path = self.map if kind == "map" else product(self.map, kind)
            to_cog(self._draft(kind), path, is_classes)
            self._draft(kind).unlink()
            made.append(path)
            if is_classes:
                names = path.with_name(f"{path.name}.aux.xml")
                names.write_text(category_names(self.classes), encoding="utf-8")
                made.append(names)
        return made


class StripFile:
    """A tiled GeoTIFF that takes rows as they come and writes them block by block."""

    def __init__(self, path: Path, scene: Raster, bands: int) -> None:
        on_disk = Path(scene.path).is_file()
        self._scene = os.path.abspath(scene.path) if on_disk else scene.path
        place = dict(scene.place)
        points = place.pop("gcps", None), place.get("crs")
        if points[0]:
            place.pop("crs")
        self._path = path
        with writing(path) as rasterio, warnings.catch_warnings():
            # A scene without a place has a map without one.
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            self._file = rasterio.open(
                path, "w", driver="GTiff", dtype="uint8", nodata=NODATA, count=bands, tiled=True,
                height=scene.size[0], width=scene.size[1], blockxsize=BLOCK, blockysize=BLOCK,
                compress="lzw", BIGTIFF="IF_SAFER", **place,
            )  # fmt: skip
        if points[0]:
            self._file.gcps = points
        self._held = np.empty((bands, min(BLOCK, scene.size[0]), scene.size[1]), np.uint8)
        self._count, self._row = 0, 0

    def add(self, pixels: np.ndarray) -> None:
        """The next rows (bands, r, W) uint8."""
        while pixels.shape[1]:
            taken = min(pixels.shape[1], self._held.shape[1] - self._count)
            self._held[:, self._count : self._count + taken] = pixels[:, :taken]
            self._count, pixels = self._count + taken, pixels[:, taken:]
            if self._count == self._held.shape[1]:
                self._write()

    def _write(self) -> None:
        rows = self._held[:, : self._count]
        with writing(self._path):
            self._file.write(rows, window=rasterio_window((self._row, 0, *rows.shape[1:])))
        self._row, self._count = self._row + self._count, 0

    def close(self, names: Sequence[str], classes: Sequence[MapClass] | None) -> None:
        """classes: of a class map; None: the bands hold shares."""
        if self._count:
            self._write()
        for number, name in enumerate(names, start=1):
            self._file.set_band_description(number, name)
        if classes is None:
            self._file.scales, self._file.offsets = [1 / SCALE] * len(names), [0.0] * len(names)
        else:
            self._file.write_colormap(1, {c.value: (*c.color, 255) for c in classes})
            tags = {CLASSES_TAG: classes_as_text(classes), SCENE_TAG: self._scene}
            self._file.update_tags(**tags)
        with writing(self._path):
            self._file.close()


def to_cog(source: Path, target: Path, is_classes: bool) -> None:
    """Write a GeoTIFF anew as a Cloud-Optimised one, with overviews."""
    with writing(target):
        import_extra("rasterio.shutil", "geo").copy(
            source, target, driver="COG", COMPRESS="DEFLATE", BLOCKSIZE=BLOCK, STATISTICS="NO",
            OVERVIEW_RESAMPLING="MODE" if is_classes else "AVERAGE", BIGTIFF="IF_SAFER",
        )  # fmt: skip


def category_names(classes: Sequence[MapClass]) -> str:
    """The classes' names as GDAL reads them, in the file `<map>.aux.xml`."""
    known: Mapping[int, str] = {entry.value: entry.name for entry in classes}
    names = (escape(known.get(value, "")) for value in range(max(known) + 1))
    lines = "".join(f"      <Category>{name}</Category>\n" for name in names)
    return (
        '<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>\n'
        f"{lines}    </CategoryNames>\n  </PAMRasterBand>\n</PAMDataset>\n"
    )
