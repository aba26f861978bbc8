"""Stands for tools/train_net.py: copies the report of a run that was prepared; quick, as it imports
nothing. A file `behaviour` beside what was prepared says what else it shall do."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

arguments = sys.argv[1:]
folder = Path(arguments[arguments.index("OUTPUT_DIR") + 1])
prepared = Path(arguments[arguments.index("--config-file") + 1]).parent / "prepared" / folder.name
note = [folder.name, "resume" if "--resume" in arguments else "start", str(os.getpid())]
note += [os.environ.get(name, "-") for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")]


def log(words):
    with open(prepared.parent / "log", "a") as file:
        file.write(" ".join(words) + "\n")


def stop(number, frame):
    log([folder.name, "saved"])
    sys.exit(75)


signal.signal(signal.SIGTERM, stop)
behaviour = prepared / "behaviour"
todo = behaviour.read_text().split() if behaviour.is_file() else []
log(note)
if "fail" in todo:
    sys.stderr.write("a word of warning\nstub: the disk is gone\n\n")
    sys.exit(2)
if "wait" in todo:  # until the test says so
    deadline = time.monotonic() + 60
    while not (prepared / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
if "die" in todo:  # with its worker, once
    behaviour.unlink()
    os.kill(os.getppid(), signal.SIGKILL)
folder.mkdir(parents=True, exist_ok=True)
for path in sorted(prepared.rglob("*"), key=lambda path: path.name == "report.json"):
    if path.is_file() and path.name not in ("behaviour", "go"):
        target = folder / path.relative_to(prepared)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
log([folder.name, "end"])
