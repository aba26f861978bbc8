"""Maps as tools/predict.py writes them, made of arrays."""

import numpy as np

from co2s.inference.products import CLASSES_TAG, MapClass, classes_as_text, product

from ..geo import CRS, from_origin, rasterio

CLASSES = [
    MapClass(0, "water", (0, 0, 200)),
    MapClass(1, "field", (200, 200, 0)),
    MapClass(2, 'a, <b> & "c"', (60, 16, 152)),
]


def write_map(
    path,
    labels,
    *,
    crs=CRS,
    origin=(500000, 2800000),
    pixel=1.0,
    classes=CLASSES,
    tags=None,
    **doubt,
):
    """A class map (H, W), and beside it bands of doubt (H, W) in 0 to 254, by their names."""
    labels = np.asarray(labels, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"driver": "GTiff", "height": labels.shape[0], "width": labels.shape[1]}
    about |= {"dtype": "uint8", "nodata": 255}
    if crs is not None:
        about |= {"crs": crs, "transform": from_origin(*origin, pixel, pixel)}
    with rasterio.open(path, "w", count=1, **about) as file:
        file.write(labels, 1)
        file.update_tags(**{CLASSES_TAG: classes_as_text(classes)}, **(tags or {}))
    if doubt:
        with rasterio.open(product(path, "uncertainty"), "w", count=len(doubt), **about) as file:
            for number, (name, band) in enumerate(doubt.items(), start=1):
                band = np.broadcast_to(np.asarray(band, np.uint8), labels.shape)
                file.write(np.where(labels == 255, np.uint8(255), band), number)
                file.set_band_description(number, name)
    return path


def tiles(rows, side):
    """(H, W) of a number for each window of `side` pixels."""
    return np.kron(np.array(rows), np.ones((side, side), int))
