"""How every tool ends: what a user can mend is one message and exit code 2."""

import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from co2s.errors import is_mendable, loss_of_process

# Exit codes, besides 0 and Python's own 1 for a fault of the program.
MENDABLE = 2  # something that the message says how to mend
LOST = 71  # a process of the run was killed or is out of reach (EX_OSERR)
STOPPED = 75  # ended by a signal, everything saved: to be resumed (EX_TEMPFAIL)
INTERRUPTED = 130  # Ctrl-C, as shells have it


def tool(main: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a tool's main function, and of what it starts in other processes.

    Programming errors keep their traceback, and so exit code 1.
    """

    @functools.wraps(main)
    def run(*args: Any, **kwargs: Any) -> Any:
        # Trainers log the traceback of whatever stops them.
        logging.getLogger("detectron2.engine.train_loop").addFilter(_without_traceback)
        try:
            return main(*args, **kwargs)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except Exception as error:
            code, message = _ending(error)
            if not code:
                raise
            end = SystemExit(f"{Path(sys.argv[0]).name}: {message}")
            sys.stderr.write(f"{end}\n")
            end.code = code
            raise end from None

    return run


def _ending(error: BaseException) -> tuple[int, str]:
    """Exit code and message of an error that is no fault of the program; else (0, "")."""
    if is_mendable(error):
        return MENDABLE, str(error)
    lost = loss_of_process(error)
    return (LOST, lost) if lost else (0, "")


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1] is not None:
        code, message = _ending(record.exc_info[1])
        if code:
            record.msg, record.args, record.exc_info = "Training stops: %s", (message,), None
    return True
