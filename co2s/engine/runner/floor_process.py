"""Process of the runner that fits floors: floor_process FOLDER ..., each with its config.yaml."""

import sys
from collections.abc import Sequence
from pathlib import Path

from co2s.config import get_co2s_cfg
from co2s.d2 import CfgNode
from co2s.data import register_datasets
from co2s.tool import tool

from ..floors import STUDENT, score_floor
from ..report import REPORT
from ..reported import CONFIG


@tool
def main(folders: Sequence[str]) -> None:
    """Fit and score the floors that are not through."""
    for folder in folders:
        if not Path(folder, REPORT).is_file():
            score_floor(read_floor(Path(folder)))


def read_floor(folder: Path) -> CfgNode:
    """The configuration of a floor as it was written, its datasets registered."""
    cfg = get_co2s_cfg([STUDENT])
    cfg.merge_from_file(str(folder / CONFIG))
    register_datasets(cfg)
    cfg.freeze()
    return cfg


if __name__ == "__main__":
    main(sys.argv[1:])
