"""How every tool ends: what a user can mend is one message and exit code 2."""

import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.multiprocessing import ProcessExitedException

from co2s.errors import is_mendable

MENDABLE = 2  # exit code


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
        except ProcessExitedException as error:
            if error.exit_code != MENDABLE:
                raise
            sys.exit(MENDABLE)  # that process has said why
        except Exception as error:
            if not is_mendable(error):
                raise
            end = SystemExit(f"{Path(sys.argv[0]).name}: {error}")
            sys.stderr.write(f"{end}\n")
            end.code = MENDABLE
            raise end from None

    return run


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and is_mendable(record.exc_info[1]):
        record.msg, record.args, record.exc_info = "Training stops: %s", (record.exc_info[1],), None
    return True
