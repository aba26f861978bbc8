"""Tables as CSV, for programs."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from .table import Line, Table


def as_csv(tables: Sequence[Table]) -> str:
    """A row for each row and prediction, numbers as they are."""
    records = [
        _record(table, line, prediction)
        for table in tables
        for line in table.lines
        for prediction in table.predictions
    ]
    file = io.StringIO()
    writer = csv.DictWriter(file, [*records[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def _record(table: Table, line: Line, prediction: str) -> dict[str, Any]:
    """Intervals and the published figure stand at the prediction that counts."""
    main, spread = prediction == table.main, line.scores.get(prediction)
    interval, gain = (line.interval, line.gain) if main else (None, None)
    return {
        "table": table.name,
        "dataset": table.dataset,
        "row": line.title,
        "prediction": prediction,
        "counts": int(main),
        "mean": spread and spread.mean,
        "deviation": spread and spread.deviation,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "gain": gain and gain.value,
        "gain_low": gain and gain.low,
        "gain_high": gain and gain.high,
        "published": line.published if main else None,
        "seeds_done": line.done,
        "seeds_wanted": line.wanted,
        "steps": line.steps,
        "seconds": line.seconds,
        "memory_mib": line.memory,
        "digests": " ".join(f"{seed}:{found}" for seed, found in line.digests.items()),
    }
