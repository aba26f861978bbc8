"""Whether the file of statistics that a spec scales by is there and fits."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from co2s.data.reading.scaling import limits
from co2s.data.spec import DatasetSpec

from .findings import ERROR, Finding


def judge_scale(spec: DatasetSpec, writes: Path | None = None) -> Iterator[Finding]:
    """One error where `raster.scale.statistics` names a file that is missing or lacks a band.

    writes: a file of statistics that this very check writes.
    """
    raster = spec.raster
    if raster is None or raster.scale is None or raster.scale.method != "statistics":
        return
    if writes is not None and writes.resolve() == Path(raster.scale.file).resolve():
        return
    try:
        limits(raster, "", lambda: np.ma.masked_array([]))
    except (OSError, ValueError) as error:
        fix = f"Run the full check with --statistics {raster.scale.file}"
        yield Finding(ERROR, "statistics", str(error), 1, fix=fix)
