"""The plan of --dry-run: what is done, running, cut or to do, and how long the rest takes."""

from collections import Counter
from collections.abc import Mapping, Sequence

from co2s.tables import text_table

from .cells import Cell
from .estimate import CUT, DONE, OPEN, RUNNING, Measure, Time, left_of, makespan, state_of, times_of

STATES = (DONE, RUNNING, CUT, OPEN)


def plan(
    groups: Sequence[Sequence[Cell]], floors: Mapping[str, Time], slots: int, measure: Measure
) -> str:
    """A table of all rows, and how long what is left takes on so many slots.

    groups: the cells of each table; floors: by the name of the job what is left of it takes.
    """
    rows, left, unknown = [], [], 0
    states: Counter[str] = Counter()
    for cells in groups:
        times = times_of(cells, measure)
        for title, time in times.items():
            own = [cell for cell in cells if cell.entry.title == title]
            found = Counter(state_of(cell.job) for cell in own)
            rows.append(_row(own[0].group.name, title, found, time))
            states += found
            rest = [cell for cell in own if not cell.job.is_done()]
            left += [left_of(cell, time.seconds) for cell in rest if time.seconds is not None]
            unknown += len(rest) if time.seconds is None else 0
    headers = ["table", "row", *STATES, "a cell takes", "known from"]
    if len(groups) == 1 and not groups[0][0].group.name:
        headers, rows = headers[1:], [row[1:] for row in rows]
    total = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
    lines = [
        text_table(rows, headers, "github", disable_numparse=True),
        f"{sum(states.values())} cells: {total}.",
    ]
    for name, time in floors.items():
        known = f"about {_clock(time.seconds)}" if time.seconds is not None else time.source
        lines.append(f"{name}: {'done' if time.seconds == 0 else f'to do, {known}'}.")
        left += [time.seconds] if time.seconds else []
    if left:
        lines.append(
            f"What is left takes about {_clock(makespan(left, slots))} with {slots} at once."
        )
    if unknown:
        lines.append(f"{unknown} cells are not in that: nothing is known of them.")
    return "\n\n".join([lines[0], "\n".join(lines[1:])])


def _row(table: str, title: str, found: Counter[str], time: Time) -> list[str]:
    states = [str(found[state] or "") for state in STATES]
    takes = "" if time.seconds is None else _clock(time.seconds)
    return [table, title, *states, takes, time.source]


def _clock(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1.5:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
