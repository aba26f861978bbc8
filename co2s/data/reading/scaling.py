"""Scaling of raster bands to 8 bits: by range, by a file's percentiles, by a dataset's statistics.

The students were pretrained on 8-bit images, and colour jitter works on them: values are scaled
as numbers of their own kind first, and rounded last.
"""

import json
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ..spec.raster import RasterSpec

Limits = tuple[np.ndarray, np.ndarray]  # low and high of each band


def limits(raster: RasterSpec, path: str, sample: Callable[[], np.ma.MaskedArray]) -> Limits | None:
    """The values of each band that become 0 and 255; None: the file's values are 8-bit already.

    `sample` gives a decimated (C, h, w) copy of the file, masked where invalid; only percentiles
    ask for it.
    """
    scale = raster.scale
    if scale is None:
        return None
    if scale.method == "statistics":
        return _from_statistics(scale.file, scale.deviations, raster.bands)
    if scale.method == "percentile":
        return _from_percentiles(sample(), scale.low[0], scale.high[0], path)
    shape = (len(raster.bands),)
    return np.broadcast_to(scale.low, shape), np.broadcast_to(scale.high, shape)


def to_bytes(bands: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(C, H, W) of any kind -> uint8, low to 0 and high to 255, rounded and clipped; NaN to 0."""
    gain = (255.0 / (high - low)).astype(np.float32)[:, None, None]
    scaled = (bands.astype(np.float32) - low.astype(np.float32)[:, None, None]) * gain
    return np.nan_to_num(np.clip(np.rint(scaled), 0, 255)).astype(np.uint8)


def _from_percentiles(sample: np.ma.MaskedArray, low: float, high: float, path: str) -> Limits:
    ends = []
    for band in sample:
        values = band.compressed()
        if not values.size:
            raise ValueError(f"{path} has no valid pixel: its percentiles are unknown.")
        ends.append(np.percentile(values.astype(np.float64), (low, high)))
    lows, highs = np.array(ends).T
    return lows, np.maximum(highs, lows + 1e-6)  # a band of one value becomes 0


@lru_cache(maxsize=16)
def _from_statistics(file: str, deviations: float, bands: tuple[int, ...]) -> Limits:
    try:
        with open(file, encoding="utf-8") as handle:
            known = json.load(handle)["bands"]
        means, stds = zip(
            *((known[str(b)]["mean"], known[str(b)]["std"]) for b in bands), strict=True
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"The statistics {file} (raster.scale.statistics) are missing. Write them: "
            f"python tools/check_dataset.py --dataset YAML --statistics {file}"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} holds no statistics of all bands {list(bands)} (at {error}). Write it anew "
            "with tools/check_dataset.py --statistics."
        ) from error
    mean, std = np.array(means), np.maximum(np.array(stds), 1e-6)
    return mean - deviations * std, mean + deviations * std
