"""The final report of a run: a file that says what was scored, with what, and of which options."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from co2s.config import get_co2s_cfg, plain, value_at
from co2s.d2 import CfgNode
from co2s.d2.key_names import key_names
from co2s.files import write_json
from co2s.report import write_report_page

REPORT = "report.json"

logger = logging.getLogger(__name__)
FREE = ("DATALOADER.NUM_WORKERS", "MODEL.DEVICE")  # may differ: the result is the same


def write_report(
    cfg: CfgNode, results: Mapping[str, Any], best: Mapping[str, Any] | None, steps: int
) -> str:
    """Write `<OUTPUT_DIR>/report.json` and return its path.

    results: as `SemiSupervisedTrainer.test` returns them; best: the score by which the checkpoint
    was chosen, None where the last model was scored; steps: how many were made. The
    file is there only where a run is through.
    """
    names = list(cfg.DATASETS.TEST)
    scores = {names[0]: dict(results)} if len(names) == 1 else dict(results)
    content = {
        "scores": scores,  # dataset -> prediction -> score -> percent
        "chosen": dict(best) if best else None,
        "steps": steps,
        "options": options(cfg),
    }
    path = os.path.join(cfg.OUTPUT_DIR, REPORT)
    write_json(Path(path), content)
    return path


def draw_page(cfg: CfgNode) -> None:
    """Write `<OUTPUT_DIR>/report.html`; what stops that is logged, and stops nothing else."""
    try:
        write_report_page(cfg.OUTPUT_DIR)
    except OSError as error:
        logger.warning("No report.html: %s", error)
    except Exception:
        logger.warning("No report.html: a fault of the program.", exc_info=True)


def reported_steps(cfg: CfgNode) -> int:
    """After how many steps the report in OUTPUT_DIR was written; -1: there is none."""
    path = Path(cfg.OUTPUT_DIR, REPORT)
    if not path.is_file():
        return -1
    return int(json.loads(path.read_text(encoding="utf-8")).get("steps", -1))


def refuse_other_options(
    folder: Path,
    found: Mapping[str, Any],
    wanted: Mapping[str, Any],
    free: Sequence[str] = FREE,
    advice: str = "Give another OUTPUT_DIR, or remove that folder.",
) -> None:
    """ValueError where a run was made with other options than these, keys and sections in `free`
    aside. A key that one side does not know, as it is older than the key, has its default."""
    found, wanted = default_options(found) | {**found}, default_options(wanted) | {**wanted}
    keys = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    keys = [key for key in keys if not any(f"{key}.".startswith(f"{part}.") for part in free)]
    if keys:
        changes = [f"\n  {key}: {found.get(key)} there, {wanted.get(key)} here" for key in keys]
        raise ValueError(f"{folder} holds a run of other options:{''.join(changes)}\n{advice}")


def default_options(own: Mapping[str, Any]) -> dict[str, Any]:
    """The default of every key, those of students that only these options name among them."""
    return options(get_co2s_cfg(own.get("MODEL.STUDENTS", ())))


def options(cfg: CfgNode) -> dict[str, Any]:
    """Every value of a configuration by its dotted key, as JSON has it: no tuples."""
    return {key: plain(value_at(cfg, key)) for key in key_names(cfg)}
