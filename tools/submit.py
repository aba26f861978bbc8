#!/usr/bin/env python
"""Submit a training to Slurm, to be requeued until it is through: submit.py [options] -- ARGUMENTS.

submit.py --nodes 2 --gpus 4 --hours 24 --partition gpu -- --config-file FILE [KEY VALUE ...]
ARGUMENTS are train_net.py's, without --num-gpus and the like. Before its time is up, or when it is
preempted, the job saves what it has and goes back into the queue; it resumes where it stopped.
OUTPUT_DIR and --folder must lie on a disk that all nodes share. Needs the extra `slurm`.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from co2s.optional import import_extra
from co2s.tool import STOPPED, tool

TRAIN = Path(__file__).resolve().with_name("train_net.py")
POLL = 0.2  # seconds
PORTS = range(20_000, 30_000)  # one of them, by the number of the job


class Training:
    """What submitit runs, one on each node; requeued with `checkpoint`."""

    def __init__(self, arguments: list[str], nodes: int, gpus: int, train: Path = TRAIN) -> None:
        self.arguments, self.nodes, self.gpus, self.train = arguments, nodes, gpus, train
        self.process: subprocess.Popen | None = None

    def __call__(self) -> int:
        """The exit code of this node's training: 0, or that of a stop by a signal."""
        self.process = subprocess.Popen(self.command())
        while not self.has_ended():
            time.sleep(POLL)
        code = self.process.returncode
        if code not in (0, STOPPED):
            raise RuntimeError(f"The training ended with exit code {code}; its log says why.")
        return code

    def command(self) -> list[str]:
        """Always with --resume: without a checkpoint that is a start from the beginning."""
        command = [sys.executable, str(self.train), "--resume", "--num-gpus", str(self.gpus)]
        if self.nodes > 1:
            job = import_extra("submitit", "slurm").JobEnvironment()
            port = PORTS[int(job.job_id.partition("_")[0]) % len(PORTS)]
            command += ["--num-machines", str(self.nodes), "--machine-rank", str(job.global_rank)]
            command += ["--dist-url", f"tcp://{job.hostnames[0]}:{port}"]
        elif self.gpus > 1:
            command += ["--dist-url", "auto"]
        return [*command, *self.arguments]

    def checkpoint(self) -> object:
        """Called by submitit before the job ends: let the training save, then ask for more time."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            while not self.has_ended():
                time.sleep(POLL)
        again = Training(self.arguments, self.nodes, self.gpus, self.train)
        return import_extra("submitit", "slurm").helpers.DelayedSubmission(again)

    def has_ended(self) -> bool:
        """Whether the training has; no Popen.wait, whose lock `checkpoint` would wait for.

        submitit calls that one from a signal handler, in the middle of whatever runs here.
        """
        assert self.process is not None
        try:
            pid, status = os.waitpid(self.process.pid, os.WNOHANG)
        except ChildProcessError:  # the other one of the two was told, and was interrupted
            return True
        if pid:
            self.process.returncode = os.waitstatus_to_exitcode(status)
        return bool(pid)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--nodes", type=int, default=1)
    add("--gpus", type=int, default=1, help="on each node")
    add("--cpus", type=int, default=8, help="for each GPU")
    add("--hours", type=float, default=24, help="of one job; it is requeued after them")
    add("--requeues", type=int, default=100, help="times that it may run out of time")
    add("--partition", default="", help="of the cluster")
    add("--name", default="co2s", help="of the job")
    add("--folder", default="output/slurm", help="for the logs of the jobs")
    add("--warning", type=int, default=120, help="seconds between the warning and the end of a job")
    add("--cluster", default="slurm", choices=("slurm", "local"), help="local: on this machine")
    add("arguments", nargs=argparse.REMAINDER, help="train_net.py's, after --")
    args = parser.parse_args(argv)
    args.arguments = args.arguments[1:] if args.arguments[:1] == ["--"] else args.arguments
    given = [a for a in args.arguments if a.split("=")[0] in DECIDED]
    if given or not args.arguments:
        raise ValueError(
            f"Give train_net.py's arguments after --, without {', '.join(DECIDED)}: found "
            f"{given or 'none'}."
        )
    return args


DECIDED = ("--num-gpus", "--num-machines", "--machine-rank", "--dist-url", "--resume")


@tool
def main() -> None:
    args = parse_args()
    submitit = import_extra("submitit", "slurm")
    executor = submitit.AutoExecutor(
        args.folder, cluster=args.cluster, slurm_max_num_timeout=args.requeues
    )
    executor.update_parameters(
        name=args.name,
        nodes=args.nodes,
        tasks_per_node=1,
        gpus_per_node=args.gpus,
        cpus_per_task=args.cpus * max(args.gpus, 1),
        timeout_min=int(args.hours * 60),
        slurm_signal_delay_s=args.warning,
        **({"slurm_partition": args.partition} if args.partition else {}),
    )
    job = executor.submit(Training(args.arguments, args.nodes, args.gpus))
    sys.stdout.write(f"Job {job.job_id}; it logs to {job.paths.stdout}\n")


if __name__ == "__main__":
    main()
