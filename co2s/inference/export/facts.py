"""What every file of a bundle says of the network: what goes in, what comes out, from where."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import co2s
from co2s.d2 import CfgNode
from co2s.data.carried import Carried
from co2s.data.spec.raster import RGB_BANDS
from co2s.inference.products import MapClass, map_classes
from co2s.modeling.weights import is_path

from .selection import Selection, scale_of

logger = logging.getLogger(__name__)

COLORS = ("red", "green", "blue")


@dataclass(frozen=True)
class Facts:
    """carried: of the training's dataset, with the resolution that readers are to keep to.

    tile: side of the square that goes in, pixels; overlap: of tiles, percent. scale: by how much
    the networks see it larger, within the graph. pretrained: each student and what it started from.
    """

    student: str
    carried: Carried
    bands: int
    tile: int
    overlap: int
    scale: float
    parameters: int
    method: str
    networks: Mapping[str, str]
    pretrained: Mapping[str, str]
    version: str = co2s.__version__

    @property
    def classes(self) -> list[MapClass]:
        return map_classes(self.carried)

    @property
    def centimetres(self) -> float | None:
        """The resolution in centimetres per pixel."""
        known = self.carried.resolution
        return None if known is None else float(f"{known * 100:.6g}")

    @property
    def band_names(self) -> list[str]:
        """Red, green and blue where these are read, else the numbers of the bands in a file."""
        raster = self.carried.raster
        numbers = raster.bands if raster else RGB_BANDS
        if numbers == RGB_BANDS:
            return [*COLORS]
        return [f"band_{number}" for number in numbers]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "student": self.student,
            "dataset": self.carried.to_dict(),
            "bands": self.bands,
            "tile": self.tile,
            "overlap": self.overlap,
            "scale": self.scale,
            "parameters": self.parameters,
            "method": self.method,
            "networks": dict(self.networks),
            "pretrained": dict(self.pretrained),
            "version": self.version,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Facts":
        """The reverse; KeyError where something is missing."""
        own = {entry.name: content[entry.name] for entry in fields(cls) if entry.name != "carried"}
        return cls(carried=Carried.from_dict(content["dataset"]), **own)


def facts_of(cfg: CfgNode, carried: Carried, selection: Selection, tile: int) -> Facts:
    """What the files say of themselves. ValueError for a tile that cannot be."""
    scale, model = scale_of(cfg, carried), selection.model
    if tile < 0:
        raise ValueError(f"--tile {tile}: it is the side of a square in pixels.")
    nodes = {name: cfg.MODEL[name.upper()] for name in model.students}
    return Facts(
        student=selection.student,
        carried=carried,
        bands=model.num_bands,
        tile=tile or max(round(model.window / scale), 1),
        overlap=round(100 * (1 - model.stride / model.window)),
        scale=scale,
        parameters=selection.parameters,
        method=cfg.MODEL.META_ARCHITECTURE,
        networks={n: f"{node.BACKBONE.MODEL} with {node.HEAD.NAME}" for n, node in nodes.items()},
        pretrained={name: _source(node.BACKBONE) for name, node in nodes.items()},
    )


def _source(backbone: CfgNode) -> str:
    """What a student started from: a file's name, not its place, or a tag."""
    weights = backbone.WEIGHTS
    if not weights:
        return ""
    return Path(weights).name if is_path(weights) else f"{backbone.MODEL} {weights}"


def name_of(facts: Facts) -> str:
    """Such as co2s-whdld-fused."""
    words = "".join(c if c.isalnum() else "-" for c in facts.carried.name.lower())
    return f"co2s-{words}-{facts.student}"


def with_resolution(carried: Carried, centimetres: float | None) -> Carried:
    """The same facts with another resolution. ValueError for one that cannot be."""
    if centimetres is None:
        return carried
    if not 0 < centimetres < float("inf"):
        raise ValueError(f"--resolution {centimetres}: it is in centimetres per pixel, above 0.")
    if carried.resolution is not None:
        logger.info(
            "--resolution %g cm goes before the %g cm of the training",
            *(centimetres, carried.resolution * 100),
        )
    return replace(carried, resolution=centimetres / 100)
