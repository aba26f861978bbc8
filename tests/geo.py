"""Writers of small georeferenced rasters."""

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio", reason="rasterio is the extra `geo`")

from rasterio.transform import from_origin  # noqa: E402

CRS = "EPSG:32640"


def write_raster(
    path, bands, *, nodata=None, crs=CRS, origin=(500000, 2800000), pixel=1.0, mask=None
):
    """Bands (C, H, W) as a GeoTIFF; mask (H, W) bool: a mask band of its own."""
    bands = np.asarray(bands)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "count": len(bands),
        "height": bands.shape[1],
        "width": bands.shape[2],
        "dtype": bands.dtype,
        "nodata": nodata,
        "crs": crs,
        "transform": from_origin(*origin, pixel, pixel),
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)
        if mask is not None:
            file.write_mask(mask)
    return str(path)
