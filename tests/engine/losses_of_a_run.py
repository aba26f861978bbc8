"""Script of `run_processes`: losses_of_a_run.py CONFIG SPEC_FILE PROCESSES OUTPUT_FILE."""

import json
import sys
from argparse import Namespace

from co2s.d2 import comm
from co2s.data import register_spec_file
from co2s.engine import SemiSupervisedTrainer, setup
from co2s.engine.processes import run_in_processes


def main(args):
    register_spec_file(args.spec)
    trainer = SemiSupervisedTrainer(setup(args))
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    if comm.is_main_process():
        histories = trainer.storage.histories()
        losses = {k: [v for v, _ in h.values()] for k, h in histories.items() if "loss" in k}
        with open(args.output, "w") as file:
            json.dump({"losses": losses, "results": results}, file)


if __name__ == "__main__":
    config, spec, processes, output = sys.argv[1:]
    run = {"config_file": config, "opts": [], "eval_only": False, "resume": False}
    machine = {"num_machines": 1, "machine_rank": 0, "dist_url": "auto"}
    given = Namespace(**run, **machine, num_gpus=int(processes), spec=spec, output=output)
    run_in_processes(main, given)
