"""The parent of a run's processes: waits for them, passes signals on, says which one died."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from co2s.tool import LOST, STOPPED

from .signals import handled_by

GRACE = 10.0  # seconds that the others get to end by themselves once one has failed


def supervise(processes: Sequence[BaseProcess], first: int, world: int) -> None:
    """Wait until all have ended; where one fails, the others do within `GRACE` seconds.

    first: number of the first process in the run; world: how many the run has on all machines.
    SystemExit with the code of the first that failed, or that of a lost process.
    """
    with handled_by(partial(_pass_on, processes)):
        codes = _wait(processes)
    failed = {first + number: code for number, code in codes.items() if code}
    if not failed:
        return
    killed = {rank: -code for rank, code in failed.items() if code < 0}
    for rank, number in killed.items():
        sys.stderr.write(f"{Path(sys.argv[0]).name}: {_obituary(rank, world, number)}\n")
    # That a process has lost another one says less than why that one ended.
    reasons = [code for code in failed.values() if code not in (LOST, STOPPED)]
    told = STOPPED in failed.values()
    sys.exit(LOST if killed else reasons[0] if reasons else STOPPED if told else LOST)


def _wait(processes: Sequence[BaseProcess]) -> dict[int, int]:
    """The exit codes of all that ended by themselves, in their order."""
    codes: dict[int, int] = {}
    deadline: float | None = None
    while left := {p.sentinel: n for n, p in enumerate(processes) if n not in codes}:
        rest = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        ended = connection.wait(list(left), rest)
        if not ended:
            _kill([processes[number] for number in left.values()])
            break
        for sentinel in ended:
            number = left[sentinel]  # type: ignore[index]
            processes[number].join()
            codes[number] = processes[number].exitcode or 0
        if deadline is None and any(codes.values()):
            deadline = time.monotonic() + GRACE
    return codes


def _kill(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


def _pass_on(processes: Sequence[BaseProcess], number: int, frame: object) -> None:
    """A signal of the parent's, to all processes."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, number)


def _obituary(rank: int, world: int, number: int) -> str:
    hint = " Where no one has killed it, memory ran out." if number == signal.SIGKILL else ""
    return (
        f"Process {rank} of {world} was ended by {signal.Signals(number).name}.{hint} The "
        "run stops; --resume goes on from the last checkpoint."
    )
