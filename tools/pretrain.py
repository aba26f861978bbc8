#!/usr/bin/env python
"""Pretrain backbones, mostly on unlabelled images: pretrain.py --config-file FILE [--num-gpus N].

[--resume] [--half] [--export-only] [KEY VALUE ...]
MODEL.META_ARCHITECTURE is MaskedImageModeling, FeatureDistillation, or S4, which reads labels, too.
Afterwards <OUTPUT_DIR>/backbone_<student>.safetensors is a file for BACKBONE.WEIGHTS like any
other.
--half: write it in float16. --export-only: write it from the last checkpoint of a run, or from
MODEL.WEIGHTS, and train nothing.
Options of the configuration follow as `KEY VALUE` pairs. Without a GPU, --num-gpus N runs N
processes on the CPU. Exit code 2: something that the last line says how to mend.
"""

from co2s.d2 import default_argument_parser
from co2s.engine import SemiSupervisedTrainer, load_cfg, setup
from co2s.engine.export import check_pretrains, export_checkpoint, export_run
from co2s.engine.processes import run_in_processes
from co2s.tool import tool


@tool
def main(args):
    cfg = setup(args)
    check_pretrains(cfg)
    trainer = SemiSupervisedTrainer(cfg, resume=args.resume)
    trainer.resume_or_load(resume=args.resume)
    trainer.train()
    export_run(trainer, args.half)


@tool
def run():
    args = parse_args()
    if not args.export_only:
        run_in_processes(main, args)
        return
    for path in export_checkpoint(load_cfg(args.config_file, args.opts), args.half):
        print(path)


def parse_args():
    parser = default_argument_parser()
    parser.add_argument("--half", action="store_true", help="write the backbones in float16")
    parser.add_argument(
        "--export-only", action="store_true", help="write those of a checkpoint, train nothing"
    )
    args = parser.parse_args()
    if args.eval_only:
        raise ValueError(
            "--eval-only: this tool scores nothing. Of pretraining only S4 predicts classes, those "
            "of its labels; tools/train_net.py --eval-only scores them."
        )
    return args


if __name__ == "__main__":
    run()
