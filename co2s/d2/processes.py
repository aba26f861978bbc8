"""What starting and ending processes needs, whoever starts them."""

from __future__ import annotations

import atexit
import os
import socket
import sys
from typing import NoReturn


def free_port() -> int:
    """A port of this machine that is free now."""
    # Another process may still take it before it is used: then start again.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def leave(code: int = 0) -> NoReturn:
    """End this process at once, after what Python has registered for its end.

    The libraries' own end can still abort one that is through: threads of process groups may run.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
