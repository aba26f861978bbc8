"""Logging to the console (main process) and to log.txt (every process)."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import sys
import time
from typing import IO, Any

from termcolor import colored

from .file_io import PathManager

# The subset logs under detectron2's names, so that whatever configures, silences or parses
# detectron2's log works on this one too.
_ROOT = "detectron2"
_DATE = "%m/%d %H:%M:%S"


def get_logger(topic: str) -> logging.Logger:
    """The subset's logger for a topic, such as "engine.hooks"."""
    return logging.getLogger(f"{_ROOT}.{topic}")


class _ConsoleFormatter(logging.Formatter):
    """Colours the level of warnings and errors and shortens the root's name."""

    def __init__(self, root: str, abbreviation: str) -> None:
        super().__init__(colored("[%(asctime)s %(name)s]: ", "green") + "%(message)s", _DATE)
        self._root = root + "."
        self._abbreviation = abbreviation + "." if abbreviation else ""

    def formatMessage(self, record: logging.LogRecord) -> str:
        # A copy: other handlers still need the full name.
        shown = logging.makeLogRecord(record.__dict__)
        shown.name = record.name.replace(self._root, self._abbreviation)
        line = super().formatMessage(shown)
        if record.levelno >= logging.ERROR:
            return colored("ERROR", "red", attrs=["blink", "underline"]) + " " + line
        if record.levelno >= logging.WARNING:
            return colored("WARNING", "red", attrs=["blink"]) + " " + line
        return line


@functools.lru_cache
def setup_logger(
    output: str | None = None,
    distributed_rank: int = 0,
    *,
    color: bool = True,
    name: str = _ROOT,
    abbrev_name: str | None = None,
    enable_propagation: bool = False,
    configure_stdout: bool = True,
) -> logging.Logger:
    """Send logger `name` to the console (rank 0) and to a file; equal calls do it once.

    `output` is a file ending in .txt or .log, or a folder in which log.txt is written; ranks above
    0 add ".rank<n>". `abbrev_name` is shown instead of `name` on the console ("" shows nothing).
    """
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = enable_propagation
    plain = logging.Formatter("[%(asctime)s] %(name)s %(levelname)s: %(message)s", _DATE)
    if configure_stdout and distributed_rank == 0:
        if abbrev_name is None:
            abbrev_name = "d2" if name == _ROOT else name
        formatter = _ConsoleFormatter(name, abbrev_name) if color else plain
        _add_handler(logger, sys.stdout, formatter)
    if output is not None:
        _add_handler(logger, _log_file(_log_path(output, distributed_rank)), plain)
    return logger


def _add_handler(logger: logging.Logger, stream: Any, formatter: logging.Formatter) -> None:
    handler = logging.StreamHandler(stream)
    handler.setLevel(logging.DEBUG)
    handler.setFormatter(formatter)
    logger.addHandler(handler)


def _log_path(output: str, rank: int) -> str:
    path = output if output.endswith((".txt", ".log")) else os.path.join(output, "log.txt")
    return f"{path}.rank{rank}" if rank > 0 else path


@functools.cache
def _log_file(path: str) -> IO[Any]:
    # One stream per file: several loggers write to the same log.txt.
    PathManager.mkdirs(os.path.dirname(path) or ".")
    stream = PathManager.open(path, "a")
    atexit.register(stream.close)
    return stream


_LAST_LOGGED: dict[str, float] = {}


def log_every_n_seconds(logger: logging.Logger, message: str, n: float) -> None:
    """Log `message` at level info unless this logger did so less than `n` seconds ago."""
    now = time.monotonic()
    if now - _LAST_LOGGED.get(logger.name, float("-inf")) >= n:
        _LAST_LOGGED[logger.name] = now
        logger.info(message)
