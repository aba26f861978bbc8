"""The set-up of a run: configuration from file and command line, resolved against the data."""

import argparse
from pathlib import Path

import torch

from co2s import d2
from co2s.config import get_co2s_cfg
from co2s.d2 import CfgNode, comm, default_setup, setup_logger
from co2s.data import iterations_per_epoch, register_specs
from co2s.modeling.backbone import patch_size, settle
from co2s.modeling.student import num_bands, num_classes
from co2s.preparation.check import check_before_training

from .prototypes import prepare_prototypes


def setup(args: argparse.Namespace) -> CfgNode:
    """The frozen configuration of a run; logging, seed and output directory are made ready."""
    cfg = get_co2s_cfg()
    if args.config_file:
        cfg.merge_from_file(args.config_file)
    cfg.merge_from_list(args.opts)
    register_specs(cfg)
    changes = resolve(cfg, training=not args.eval_only)
    cfg.freeze()
    default_setup(cfg, args)
    # detectron2 sets up its own and fvcore's logs only.
    log = setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="co2s")
    log.info("Names of detectron2 come from: %s", d2.describe())
    for change in changes:
        log.warning(change)
    if args.resume:
        start_from_last_checkpoint(cfg)
    if not args.eval_only:
        if comm.is_main_process():
            data = cfg.DATASETS
            names = [*data.LABELED, *data.UNLABELED, *data.VAL, *data.TEST]
            check_before_training(names, data.ROOT, data.SPECS)
        prepare_prototypes(cfg)
    return cfg


def start_from_last_checkpoint(cfg: CfgNode) -> None:
    """Name the last checkpoint of OUTPUT_DIR as MODEL.WEIGHTS, where there is one.

    It brings everything: a resumed run needs no pretrained file any more.
    """
    last = Path(cfg.OUTPUT_DIR) / "last_checkpoint"
    if last.is_file():
        cfg.defrost()
        cfg.MODEL.WEIGHTS = str(last.with_name(last.read_text(encoding="utf-8").strip()))
        cfg.freeze()


def resolve(cfg: CfgNode, *, training: bool = True) -> list[str]:
    """Fill in what depends on the machine, the data and the weights; in place.

    With SOLVER.EPOCHS, MAX_ITER becomes epochs times the batches of the unlabelled pool, and
    the periods of checkpoint and evaluation that are not set become one epoch. Returns a sentence
    for each setting that could not stay as it was: there is no log yet.
    """
    changes = []
    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        changes.append("MODEL.DEVICE is 'cuda' and there is no GPU: running on the CPU.")
        cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.NUM_CLASSES, cfg.MODEL.NUM_BANDS = num_classes(cfg), num_bands(cfg)
    for student in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL):
        settle(student)
    changes += fit_crop(cfg)
    if training:
        epoch = iterations_per_epoch(cfg)  # also finds out now, not later, that data are missing
        if cfg.SOLVER.EPOCHS:
            cfg.SOLVER.MAX_ITER = cfg.SOLVER.EPOCHS * epoch
            cfg.SOLVER.CHECKPOINT_PERIOD = epoch
            cfg.TEST.EVAL_PERIOD = cfg.TEST.EVAL_PERIOD or epoch
    return changes


def fit_crop(cfg: CfgNode) -> list[str]:
    """Round INPUT.CROP_SIZE to whole patches of the local student; CLIP's pads (method section 2).

    DINOv2's patches are 14 pixels: 512 becomes 518.
    """
    crop, patch = cfg.INPUT.CROP_SIZE, patch_size(cfg.MODEL.LOCAL)
    if crop % patch == 0:
        return []
    cfg.INPUT.CROP_SIZE = max(round(crop / patch), 1) * patch
    return [
        f"INPUT.CROP_SIZE {crop} -> {cfg.INPUT.CROP_SIZE}: whole patches of {patch} pixels for "
        f"MODEL.LOCAL ({cfg.MODEL.LOCAL.BACKBONE.MODEL})."
    ]
