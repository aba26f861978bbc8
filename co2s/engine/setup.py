"""The start of a run: its configuration complete and written down, its log, its data checked."""

import argparse
import os

from co2s import d2
from co2s.d2 import CfgNode, comm, default_setup, setup_logger
from co2s.layers import choose_products
from co2s.modeling.guidance.text import prepare_prototypes
from co2s.preparation.check import check_before_training

from .checkpoints import last_checkpoint
from .config import load_cfg, method_of


def setup(args: argparse.Namespace) -> CfgNode:
    """The frozen configuration of a run; logging, seed and output directory are made ready.

    `<OUTPUT_DIR>/config.yaml` holds exactly what is returned. Scoring alone (`eval_only`) logs into
    `<OUTPUT_DIR>/inference` and leaves what the training wrote as it is.
    """
    notes: list[str] = []
    training = not args.eval_only
    cfg = load_cfg(args.config_file, args.opts, training=training, resume=args.resume, notes=notes)
    if not training and not method_of(cfg).segments:
        raise ValueError(
            f"--eval-only: {cfg.MODEL.META_ARCHITECTURE} predicts no classes, so there is nothing "
            "to score. Train a segmentation from its backbones and score that."
        )
    if not training and not (cfg.MODEL.WEIGHTS or (args.resume and last_checkpoint(cfg))):
        raise ValueError(
            "--eval-only has nothing to score: MODEL.WEIGHTS is empty, and there is no checkpoint "
            "to --resume from. Give MODEL.WEIGHTS <OUTPUT_DIR>/model_best.pth."
        )
    place = cfg if training else elsewhere(cfg, os.path.join(cfg.OUTPUT_DIR, "inference"))
    default_setup(place, args)
    # detectron2 sets up its own and fvcore's logs only.
    log = setup_logger(place.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="co2s")
    log.info("Names of detectron2 come from: %s", d2.describe())
    for note in notes:
        log.warning(note)
    if choose_products(cfg.CPU_MATMUL):
        log.info("Matrix products on the CPU are oneDNN's (CPU_MATMUL %s)", cfg.CPU_MATMUL)
    if training:
        check_data(cfg)
        if method_of(cfg).segments and not (args.resume and last_checkpoint(cfg)):
            prepare_prototypes(cfg)
    return cfg


def elsewhere(cfg: CfgNode, folder: str) -> CfgNode:
    """The same configuration with another OUTPUT_DIR."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = folder
    cfg.freeze()
    return cfg


def check_data(cfg: CfgNode) -> None:
    """A quick look at the data on the main process; ValueError where training would stumble."""
    data = cfg.DATASETS
    if comm.is_main_process():
        names = [*data.LABELED, *data.UNLABELED, *data.VAL, *data.TEST]
        check_before_training(names, data.ROOT, data.SPECS)
    comm.synchronize()
