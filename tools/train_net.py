#!/usr/bin/env python
"""Train, resume or score: train_net.py --config-file FILE [--num-gpus N] [--resume] [--eval-only].

Options of the configuration follow as `KEY VALUE` pairs. Without a GPU, --num-gpus N runs N
processes on the CPU.
"""

from co2s.d2 import DetectionCheckpointer, build_model, default_argument_parser, launch
from co2s.engine import SemiSupervisedTrainer, score, setup


def main(args):
    cfg = setup(args)
    if args.eval_only:
        model = build_model(cfg)
        DetectionCheckpointer(model, cfg.OUTPUT_DIR).resume_or_load(
            cfg.MODEL.WEIGHTS, resume=args.resume
        )
        return score(cfg, model, cfg.DATASETS.TEST, panels=cfg.TEST.PANELS)
    trainer = SemiSupervisedTrainer(cfg)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


if __name__ == "__main__":
    args = default_argument_parser().parse_args()
    launch(
        main,
        args.num_gpus,
        num_machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        args=(args,),
    )
