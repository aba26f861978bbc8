"""Script of test_processes.py: losses_of_a_run.py CONFIG SPEC_FILE PROCESSES OUTPUT_FILE."""

import json
import sys
from argparse import Namespace

from co2s.d2 import comm, launch
from co2s.data import register_spec_file
from co2s.engine import SemiSupervisedTrainer, setup


def main(config, spec, output):
    register_spec_file(spec)
    args = Namespace(config_file=config, opts=[], eval_only=False, resume=False)
    trainer = SemiSupervisedTrainer(setup(args))
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    if comm.is_main_process():
        histories = trainer.storage.histories()
        losses = {k: [v for v, _ in h.values()] for k, h in histories.items() if "loss" in k}
        with open(output, "w") as file:
            json.dump({"losses": losses, "results": results}, file)


if __name__ == "__main__":
    config, spec, processes, output = sys.argv[1:]
    launch(main, int(processes), dist_url="auto", args=(config, spec, output))
