#!/usr/bin/env python
"""Train, resume or score: train_net.py --config-file FILE [--num-gpus N] [--resume] [--eval-only].

--preset NAME: settings for a kind of machine (configs/presets).
--with-baseline also trains the same students on the labelled images alone, and says in a sentence
what the unlabelled ones gave.
Options of the configuration follow as `KEY VALUE` pairs. Without a GPU, --num-gpus N runs N
processes on the CPU. Under torchrun (torchrun --nproc_per_node N tools/train_net.py ...) its
processes are the run's. Exit code 2: something that the last line says how to mend.
"""

from co2s.d2 import default_argument_parser
from co2s.engine import SemiSupervisedTrainer, WholeCheckpointer, setup
from co2s.engine.processes import run_in_processes
from co2s.engine.twin import check_baseline, train_twin
from co2s.model_zoo import preset_names, preset_options
from co2s.tool import tool


@tool
def main(args):
    cfg = setup(args)
    if args.with_baseline:
        check_baseline(cfg)
    if args.eval_only:
        model = SemiSupervisedTrainer.build_model(cfg)
        WholeCheckpointer(model, cfg.OUTPUT_DIR).resume_or_load(
            cfg.MODEL.WEIGHTS, resume=args.resume
        )
        return SemiSupervisedTrainer.test(cfg, model, panels=cfg.TEST.PANELS)
    trainer = SemiSupervisedTrainer(cfg, resume=args.resume)
    trainer.resume_or_load(resume=args.resume)
    results = trainer.train()
    if args.with_baseline:
        del trainer  # its memory is the twin's now
        train_twin(cfg, SemiSupervisedTrainer)
    return results


@tool
def run():
    run_in_processes(main, parse_args())


def parse_args():
    parser = default_argument_parser()
    parser.add_argument(
        "--with-baseline",
        action="store_true",
        help="also train the same students on the labelled images alone, into "
        "OUTPUT_DIR/labeled_only, and say what the unlabelled ones gave",
    )
    parser.add_argument(
        "--preset",
        default="",
        metavar="NAME",
        help=f"settings for a kind of machine: {', '.join(preset_names())}",
    )
    args = parser.parse_args()
    if args.preset:
        args.opts = [*preset_options(args.preset), *args.opts]
    if args.with_baseline and args.eval_only:
        raise ValueError("--with-baseline trains, --eval-only does not: leave one of them out.")
    return args


if __name__ == "__main__":
    run()
