"""The metrics.json of a run: one JSON object a line, one line a writing step."""

import json
import logging
import os

Series = tuple[list[int], list[float]]  # iterations and values

logger = logging.getLogger(__name__)


def read_metrics(output_dir: str) -> dict[str, Series]:
    """All scalars of a run by name, in the order of iterations.

    A resumed run repeats iterations: the last value written counts. A line that a killed run left
    unfinished is passed over with a warning. Raises FileNotFoundError or ValueError where there
    is nothing to read.
    """
    path = os.path.join(output_dir, "metrics.json")
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"No metrics.json in {output_dir!r}: no run has written there yet. Train first, or "
            "give the OUTPUT_DIR of the run."
        )
    values: dict[str, dict[int, float]] = {}
    with open(path) as file:
        for line in file:
            _add_line(line, path, values)
    if not values:
        raise ValueError(f"{path!r} holds no scalar; the run ended before its first writing step.")
    return {name: _series(points) for name, points in values.items()}


def _add_line(line: str, path: str, values: dict[str, dict[int, float]]) -> None:
    try:
        record = json.loads(line)
        iteration = int(record.pop("iteration"))
    except (ValueError, KeyError, TypeError):
        if line.strip():
            logger.warning("%s: passed over the unreadable line %.60r", path, line)
        return
    for name, value in record.items():
        if isinstance(value, int | float):
            values.setdefault(name, {})[iteration] = float(value)


def _series(points: dict[int, float]) -> Series:
    iterations = sorted(points)
    return iterations, [points[i] for i in iterations]
