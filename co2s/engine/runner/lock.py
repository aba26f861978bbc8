"""The lock of a job's folder: one runner at a time, and no one to clear up after a kill."""

import importlib
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

LOCK = "runner.lock"


class Lock:
    """Held by an open file, and so by every process that inherits it.

    The system frees it when the last of them ends, however that ends: a training outlives a runner
    that was killed, and nobody starts it a second time. The file names the holder's host and pid.
    It needs a disk that knows `flock` (local ones, NFS 4, Lustre mounted with it).
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / LOCK
        self.descriptor = -1

    def acquire(self) -> bool:
        """Whether it was free. OSError where a process of another host wrote that it holds it, and
        the disk does not say whether it still does."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _try(descriptor):
            os.close(descriptor)
            return False
        self.descriptor = descriptor
        if holder := _of_another_host(self.path):
            self._close()
            raise OSError(
                f"{self.path} says that process {holder.get('pid')} on {holder['host']} makes this "
                "cell. If that is not so, remove the file."
            )
        self._write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
        return True

    def release(self) -> None:
        """Free it; not where a process that inherited it goes on."""
        if self.descriptor >= 0:
            self._write("")
            self._close()

    def _write(self, text: str) -> None:
        """In place, as a new file would have another lock."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode("utf-8"), 0)

    def _close(self) -> None:
        os.close(self.descriptor)
        self.descriptor = -1


def is_held(folder: str | Path) -> bool:
    """Whether some process has the lock, or one of another host says so."""
    path = Path(folder) / LOCK
    if not path.is_file():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not _try(descriptor) or bool(_of_another_host(path))
    finally:
        os.close(descriptor)


def read_holder(path: Path) -> dict[str, Any]:
    """{"host", "pid"} as the file says; nothing where it says nothing."""
    with suppress(OSError, ValueError):
        return dict(json.loads(path.read_text(encoding="utf-8")))
    return {}


def _of_another_host(path: Path) -> dict[str, Any]:
    holder = read_holder(path)
    return holder if holder.get("host", socket.gethostname()) != socket.gethostname() else {}


def _try(descriptor: int) -> bool:
    if os.name == "nt":
        raise OSError("Folders of runs are locked by flock, which Windows lacks. Run this in WSL.")
    fcntl = importlib.import_module("fcntl")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
