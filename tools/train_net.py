#!/usr/bin/env python
"""Train, resume or score: train_net.py --config-file FILE [--num-gpus N] [--resume] [--eval-only].

Options of the configuration follow as `KEY VALUE` pairs. Without a GPU, --num-gpus N runs N
processes on the CPU. Under torchrun (torchrun --nproc_per_node N tools/train_net.py ...) its
processes are the run's. Exit code 2: something that the last line says how to mend.
"""

from co2s.d2 import default_argument_parser
from co2s.engine import SemiSupervisedTrainer, WholeCheckpointer, setup
from co2s.engine.processes import run_in_processes
from co2s.tool import tool


@tool
def main(args):
    cfg = setup(args)
    if args.eval_only:
        model = SemiSupervisedTrainer.build_model(cfg)
        WholeCheckpointer(model, cfg.OUTPUT_DIR).resume_or_load(
            cfg.MODEL.WEIGHTS, resume=args.resume
        )
        return SemiSupervisedTrainer.test(cfg, model, panels=cfg.TEST.PANELS)
    trainer = SemiSupervisedTrainer(cfg, resume=args.resume)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


@tool
def run():
    run_in_processes(main, default_argument_parser().parse_args())


if __name__ == "__main__":
    run()
