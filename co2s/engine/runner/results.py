"""What the cells of a table have reached and cost, read from their folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from co2s.d2 import CfgNode
from co2s.evaluation import MAIN

from ..facts import FACTS, read_facts, wall_seconds
from ..report import REPORT
from ..reported import read_report, reported_matrices
from .cells import Cell, digest, refuse_others


@dataclass(frozen=True)
class Result:
    """What a run reached, and what it took."""

    scores: Mapping[str, Mapping[str, float]]  # dataset -> prediction -> mIoU
    steps: int
    seconds: float | None
    memory: int | None  # MiB at most, of the GPU where there was one, else of main memory


@dataclass(frozen=True)
class Row:
    """The runs of a floor or of a method, one for each seed; None: not through yet."""

    title: str
    cfgs: Sequence[CfgNode]
    results: Sequence[Result | None]
    method: str = ""  # "" of a floor
    plain: bool = False  # whether the method has no options of its own

    @property
    def found(self) -> list[Result]:
        return [result for result in self.results if result is not None]

    @property
    def digests(self) -> dict[int, str]:
        """By seed, of the cells that are through."""
        pairs = zip(self.cfgs, self.results, strict=True)
        return {cfg.SEED: digest(cfg) for cfg, result in pairs if result is not None}


def rows_of(floors: Mapping[str, Sequence[CfgNode]], cells: Sequence[Cell]) -> list[Row]:
    """The rows of a table; floors stand first."""
    rows = [Row(title, cfgs, [read_result(cfg) for cfg in cfgs]) for title, cfgs in floors.items()]
    for entry in dict.fromkeys(cell.entry for cell in cells):
        cfgs = [cell.cfg for cell in cells if cell.entry == entry]
        results = [read_result(cfg) for cfg in cfgs]
        rows.append(Row(entry.title, cfgs, results, entry.method, not entry.opts))
    return rows


def read_result(cfg: CfgNode) -> Result | None:
    """What the report of a run says, None where there is none; ValueError where that run had other
    options."""
    folder = Path(cfg.OUTPUT_DIR)
    if not (folder / REPORT).is_file():
        return None
    refuse_others(cfg)
    report = read_report(folder)
    scores = {
        dataset: {name: values["mIoU"] for name, values in found.items() if name != MAIN}
        for dataset, found in report["scores"].items()
    }
    peak = read_facts(folder / FACTS).get("peak_memory", {})
    memory = peak.get("gpu") or peak.get("main")
    return Result(scores, report["steps"], wall_seconds(folder), memory)


def matrices_of(row: Row, dataset: str) -> dict[int, dict[str, np.ndarray]]:
    """Matrices by image of each seed that is through; ValueError or OSError where one has none."""
    return {
        cfg.SEED: reported_matrices(Path(cfg.OUTPUT_DIR), dataset, cfg.TEST.ABSENT_AS_ZERO)
        for cfg, result in zip(row.cfgs, row.results, strict=True)
        if result is not None
    }
