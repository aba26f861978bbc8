"""GeoTIFF scenes of any size for the prediction benchmark: tiles of a drawn landscape."""

from pathlib import Path

import numpy as np

from co2s.inference.geotiff import BLOCK, gdal
from co2s.optional import import_extra
from co2s.preparation.synthetic import draw_scene

DRAWN = 1024  # side of the landscape whose mirrored copies fill a scene, pixels


def write_scene(path: Path, side: int, seed: int = 0) -> Path:
    """A scene of side x side pixels, three bands of 8 bits, one metre each; returns its path."""
    image, _ = draw_scene(np.random.default_rng(seed), (DRAWN, DRAWN))
    copies = [image, image[::-1], image[:, ::-1], image[::-1, ::-1]]
    place = import_extra("rasterio.transform", "geo").from_origin(5e5, 28e5, 1, 1)
    window = import_extra("rasterio.windows", "geo").Window
    shape = {"height": side, "width": side, "count": 3, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with gdal() as rasterio, rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32640", transform=place, **shape, **tiles
    ) as file:  # fmt: skip
        for top in range(0, side, DRAWN):
            for left in range(0, side, DRAWN):
                height, width = min(DRAWN, side - top), min(DRAWN, side - left)
                piece = copies[(top + 3 * left) // DRAWN % 4][:height, :width]
                file.write(piece.transpose(2, 0, 1), window=window(left, top, width, height))
    return path
