"""Script of the tests that end runs: runs tools/train_net.py in forks of a process that is warm.

Starting Python and importing everything takes seconds, a fork nothing. One request a line:
{"folder", "argv", "processes", "ending", "file"}; one answer a line: {"codes", "said"}.
"""

import importlib
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

from co2s.d2 import comm
from co2s.d2.processes import free_port
from co2s.engine import processes, signals, supervision, trainer

torch.set_num_threads(1)
for slow in ("timm", "torch._dynamo", "torch.utils.tensorboard", "matplotlib.pyplot"):
    importlib.import_module(slow)  # what a run imports when it gets there
FORK = {"start_method": "fork"}  # where --num-gpus starts processes
start_processes = processes.mp.start_processes
ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("train_net", ROOT / "tools" / "train_net.py")
train_net = importlib.util.module_from_spec(spec)
spec.loader.exec_module(train_net)


# The function with which it begins.
BEGINS = {"saving": "write_whole", "evaluation": "inference_on_dataset"}


def count_calls(ending):
    """Do `ending["do"]` at call number `ending["calls"]` of a function, Python's or C's.

    Calls are counted from the start of training on, of saving a checkpoint or of an evaluation.
    Gives a function that says how many were left.
    """
    left = ending["calls"]
    armed = ending["since"] == "start"
    own = os.getpid()

    def profile(frame, event, arg):
        nonlocal left, armed
        if os.getpid() != own:
            return sys.setprofile(None)  # a data worker
        if event == "call" and frame.f_code.co_name == BEGINS.get(ending["since"]):
            armed = True
        if not armed or event not in ("call", "c_call"):
            return None
        left -= 1
        if left == 0:
            sys.setprofile(None)
            DO[ending["do"]]()
        return None

    sys.setprofile(profile)
    return lambda: left


def data_workers():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def tell_all(name):
    """What Slurm does: the signal comes from outside, to the process and to its data workers."""
    os.system(f"kill -{name} {' '.join(data_workers())} {os.getpid()}")


DO = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "term": lambda: tell_all("TERM"),
    "term parent": lambda: os.kill(os.getppid(), signal.SIGTERM),
    "term twice": lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(2)],
    "usr1": lambda: tell_all("USR1"),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "worker": lambda: os.kill(int(data_workers()[0]), signal.SIGKILL),
}


def arm(ending):
    """Begin to count where the process that is meant starts to train."""
    train = trainer.SemiSupervisedTrainer.train

    def counted(self):
        if ending["rank"] not in (comm.get_rank(), "any"):
            return train(self)
        left = count_calls(ending)
        try:
            return train(self)
        finally:
            sys.setprofile(None)
            sys.stdout.write(f"calls {ending['calls'] - left()}\n")

    trainer.SemiSupervisedTrainer.train = counted


def child(request, rank, port):
    """One process of a run; never returns."""
    file = os.open(f"{request['file']}.{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(request["folder"])
    trainer.write_run_pictures = lambda folder: None  # they take longer than all else
    trainer.LOG_PERIOD = request.get("log_period", 4)
    signals.ONE_SIGNAL = request.get("one_signal", signals.ONE_SIGNAL)
    world = request["processes"]
    if world > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(world), "TORCHELASTIC_RUN_ID": "test"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= request.get("environment", {})
    ending = request.get("ending")
    if ending:
        arm(ending)
    supervision.GRACE = 1.0
    processes.mp.start_processes = lambda *a, **k: start_processes(*a, **{**k, **FORK})
    sys.argv = ["train_net.py", *request["argv"]]
    code = 1
    try:
        train_net.run()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve(request):
    """Run it; the exit codes, and None for a process that does not end within `patience`."""
    port = free_port()
    pids = []
    for rank in range(request["processes"]):
        pid = os.fork()
        if pid == 0:
            child(request, rank, port)
        pids.append(pid)
    deadline = time.monotonic() + request.get("patience", 120)
    codes = {}
    while len(codes) < len(pids) and time.monotonic() < deadline:
        for rank, pid in enumerate(pids):
            if rank not in codes and (found := os.waitpid(pid, os.WNOHANG))[0]:
                codes[rank] = os.waitstatus_to_exitcode(found[1])
        time.sleep(0.01)
    for rank, pid in enumerate(pids):
        if rank not in codes:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    said = [Path(f"{request['file']}.{rank}").read_text() for rank in range(len(pids))]
    return {"codes": [codes.get(rank) for rank in range(len(pids))], "said": said}


def main():
    assert not comm.get_world_size() > 1
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(serve(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
