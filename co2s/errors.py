"""Which errors are no fault of the program: those get one message, others keep their traceback."""

import dis
import os
import pickle
import re
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


def loss_of_process(error: BaseException | None) -> str:
    """A message where an error says that another process of the run is gone; else "".

    PyTorch has no types for this: a data worker that was killed and a connection over gloo that
    broke are RuntimeErrors. A killed worker is said wherever the main thread is at that moment.
    """
    if not isinstance(error, RuntimeError):
        return ""
    rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    said = str(error)
    if worker := re.search(r"DataLoader worker \(pid\(?s?\)? ?([\d, ]+)\) (.*)", said):
        return (
            f"A data worker (pid {worker[1]}) of process {rank} {worker[2].rstrip('. ')}. Where no "
            "one has killed it, memory ran out: set a smaller DATALOADER.NUM_WORKERS. --resume "
            "goes on from the last checkpoint."
        )
    if type(error).__name__ in _CONNECTION or any(word in said for word in _BROKEN):
        first = said.strip().splitlines()[0] if said.strip() else type(error).__name__
        return (
            f"Process {rank} of {world} has lost another one, which was ended or does not answer: "
            f"{first[:300]}. --resume goes on from the last checkpoint."
        )
    return ""


# Of torch.distributed, which the tools that need no model must not load.
_CONNECTION = ("DistBackendError", "DistNetworkError", "DistStoreError")
# Gloo's words, whatever its version puts before and after them.
_BROKEN = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Timed out wait")
