"""Which errors a user can mend: those get one message, all others keep their traceback."""

import dis
import pickle
from pathlib import Path
from types import TracebackType

PACKAGE = Path(__file__).parent
# Beside the package in a checkout.
PROGRAMS = [PACKAGE.parent / name for name in ("tools", "benchmarks", "projects", "datasets")]

_MEANT = (ValueError, ImportError, EOFError, FloatingPointError, pickle.UnpicklingError)


def is_mendable(error: BaseException | None) -> bool:
    """Whether an error is about what the user gave: files, values, packages that are not there.

    The file system's word is taken for it. Other errors must be raised on purpose, by a `raise` of
    this project: the same type out of a library, or out of an expression, is a fault of ours.
    """
    if isinstance(error, OSError):
        return True
    if not isinstance(error, _MEANT):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and _is_ours(last) and _is_raised(last)


def _is_ours(place: TracebackType) -> bool:
    file = Path(place.tb_frame.f_code.co_filename).resolve()
    main = place.tb_frame.f_globals.get("__name__") == "__main__"
    return main or any(file.is_relative_to(folder) for folder in (PACKAGE, *PROGRAMS))


def _is_raised(place: TracebackType) -> bool:
    """Whether the line is a `raise` statement, and not something that fails by itself."""
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"
