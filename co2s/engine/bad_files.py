"""The hook that keeps the list of files which a run could not read, over all its processes."""

import json
from pathlib import Path
from typing import Any

from co2s.d2 import HookBase, comm
from co2s.files import write_json
from co2s.tool import MENDABLE

BAD_FILES = "bad_files.json"


class BadFilesFound(HookBase):
    """Brings the processes' lists together every `period` steps, and writes the whole one down.

    `<OUTPUT_DIR>/bad_files.json`, {path: why}. A resumed run begins with what stands there. Where
    the processes together have met more than the run may do without, all of them stop then, and
    the main one says which; one process alone stops at once. Nothing is exchanged where none is
    allowed: the first ends the run.
    """

    def __init__(self, folder: str, period: int) -> None:
        self.path, self.period = Path(folder, BAD_FILES), period
        self.known: dict[str, str] = {}

    def before_train(self) -> None:
        known = {}
        if self.trainer.start_iter and comm.is_main_process() and self.path.is_file():
            known = json.loads(self.path.read_text(encoding="utf-8"))
        self.known = comm.all_gather(known)[0]

    def after_step(self) -> None:
        bad: Any = self.trainer.bad_files
        if bad is None or not bad.limit:
            return
        done = self.trainer.iter + 1
        if comm.get_world_size() == 1 or done % self.period == 0 or done == self.trainer.max_iter:
            self._share(bad)

    def _share(self, bad: Any) -> None:
        together = dict(self.known)
        for found in comm.all_gather(bad.found):
            together |= found
        fresh = together.keys() - self.known.keys()
        self.known = dict(sorted(together.items()))
        if comm.is_main_process():
            if fresh:
                write_json(self.path, self.known)
            bad.add(self.known)
            bad.check()
        elif len(together) > bad.limit:
            raise SystemExit(MENDABLE)  # the main process says why
        bad.found = dict(self.known)
