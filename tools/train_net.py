#!/usr/bin/env python
"""Train, resume or score: train_net.py --config-file FILE [--num-gpus N] [--resume] [--eval-only].

Options of the configuration follow as `KEY VALUE` pairs. Without a GPU, --num-gpus N runs N
processes on the CPU. Exit code 2: something that the last line says how to mend.
"""

from co2s.d2 import default_argument_parser, launch
from co2s.engine import SemiSupervisedTrainer, WholeCheckpointer, setup, tool


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
    args = default_argument_parser().parse_args()
    launch(
        main,
        args.num_gpus,
        num_machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        args=(args,),
    )


if __name__ == "__main__":
    run()
