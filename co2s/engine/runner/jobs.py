"""A job: a process to be run until its reports are there; its state is read from its folder."""

from dataclasses import dataclass
from pathlib import Path

from ..checkpoints import newest_whole
from ..report import REPORT

DONE, FAILED, STOPPED, HELD, LOST = "done", "failed", "stopped", "held", "lost"


@dataclass(frozen=True)
class Job:
    """A process that leaves a report in each of some folders; plain values, to be sent anywhere."""

    name: str
    folder: str  # of its lock and of what it says
    reports: tuple[str, ...]  # folders
    command: tuple[str, ...]
    place: str  # the working directory, from which paths are seen
    resumable: bool = False  # --resume goes on from the last checkpoint

    def is_done(self) -> bool:
        return all(Path(self.place, folder, REPORT).is_file() for folder in self.reports)

    def command_now(self) -> list[str]:
        """With --resume where there is something to go on from."""
        command = [*self.command]
        if self.resumable and newest_whole(str(Path(self.place, self.folder))):
            command.insert(2, "--resume")
        return command


@dataclass(frozen=True)
class Ended:
    """What became of a job: DONE, FAILED, STOPPED by a signal, HELD by another runner, or LOST
    with its machine; and why."""

    job: Job
    what: str
    why: str = ""
