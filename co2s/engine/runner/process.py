"""One job as a process of this machine: its lock, its output, how it ended."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from co2s.tool import STOPPED as STOPPED_CODE

from .jobs import DONE, FAILED, HELD, STOPPED, Ended, Job
from .lock import Lock, read_holder

OUTPUT = "output.txt"  # what the process has said, in its folder


class Process:
    """Starts a job where it is neither done nor made by another runner; then waits to be asked.

    The process is a session of its own: Ctrl-C in a terminal is for the runner, which passes it on
    as the signal at which a training saves and ends.
    """

    def __init__(self, job: Job, environment: Mapping[str, str]) -> None:
        self.job = job
        self._process: subprocess.Popen | None = None
        self._lock = Lock(Path(job.place, job.folder))
        self._said = Path(job.place, job.folder, OUTPUT)
        self._from = 0  # where in that file this process begins
        self._early = self._begin(environment)

    def poll(self) -> Ended | None:
        """How it ended; None while it runs."""
        if self._process is None:
            return self._early
        code = self._process.poll()
        if code is None:
            return None
        self._lock.release()
        if code == 0 and self.job.is_done():
            return Ended(self.job, DONE)
        if code in (STOPPED_CODE, -signal.SIGTERM):  # the latter while it still starts
            return Ended(self.job, STOPPED, "a signal told it to stop; run this again to go on")
        return Ended(self.job, FAILED, self._why(code))

    def stop(self) -> None:
        """Let it save and end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def _begin(self, environment: Mapping[str, str]) -> Ended | None:
        try:
            if not self._lock.acquire():
                return Ended(self.job, HELD, _holder(self._lock.path))
            if self.job.is_done():  # since the plan was made
                self._lock.release()
                return Ended(self.job, DONE)
            self._start(environment)
        except OSError as error:
            self._lock.release()
            return Ended(self.job, FAILED, str(error))
        return None

    def _start(self, environment: Mapping[str, str]) -> None:
        with open(self._said, "ab") as said:
            self._from = said.tell()
            self._process = subprocess.Popen(
                self.job.command_now(),
                cwd=self.job.place,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self._lock.descriptor,),  # the lock lives as long as either of the two
            )

    def _why(self, code: int) -> str:
        """The last line that the process said."""
        with open(self._said, "rb") as said:
            said.seek(self._from)
            lines = said.read().decode("utf-8", "replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if code == 0:
            return f"it ended without a report; see {self._said}"
        ending = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{last or 'it said nothing'} ({ending}; see {self._said})"


def _holder(path: Path) -> str:
    holder = read_holder(path)
    return f"process {holder.get('pid')} on {holder.get('host')}" if holder else "another process"
