"""Script of `run_processes`: losses_of_a_run.py CONFIG SPEC_FILE PROCESSES OUTPUT_FILE."""

import json
import sys

from co2s.d2 import comm, default_argument_parser
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
    arguments = ["--config-file", config, "--num-gpus", processes, "--dist-url", "auto"]
    args = default_argument_parser().parse_args(arguments)
    args.spec, args.output = spec, output
    run_in_processes(main, args)
