"""What pretraining leaves: each student's backbone as a file for BACKBONE.WEIGHTS."""

import json
import logging
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

import co2s
from co2s.config import plain
from co2s.d2 import CfgNode, build_model, comm
from co2s.files import write_together
from co2s.modeling.backbone import DENSE, heads_of

from .checkpoints import WholeCheckpointer, last_checkpoint, started_from
from .config import known_methods, method_of

logger = logging.getLogger(__name__)

# Keys of BACKBONE that are of one run, and say nothing about the model.
OF_A_RUN = ("WEIGHTS", "SHA256", "TRAINABLE")


def export_backbones(cfg: CfgNode, method: Any, steps: int, half: bool = False) -> list[Path]:
    """Write `<OUTPUT_DIR>/backbone_<student>.safetensors` for every student of a method.

    In the layout of the library that the model comes from, which the backbone's `load` reads
    strictly. Where the method keeps averages (MODEL.EMA_DECAY), it is those. half: in float16.
    What they say of themselves: `metadata`. All of them are written, or none. ValueError for a
    backbone that has no such layout, and for numbers that float16 cannot hold.
    """
    writers, folder = {}, Path(cfg.OUTPUT_DIR)
    for name, student in method.networks.items():
        tensors = backbone_tensors(name, student.backbone, half)
        about = metadata(cfg, name, student, steps)
        writers[folder / f"backbone_{name}.safetensors"] = _writer(tensors, about)
    write_together(writers)
    for path, name in zip(writers, method.students, strict=True):
        logger.info("To start from it: MODEL.%s.BACKBONE.WEIGHTS %s", name.upper(), path)
    return [*writers]


def export_run(trainer: Any, half: bool = False) -> None:
    """The same of a trainer whose training is through, as its last step left the students.

    That is what `export_checkpoint` finds there, too: a report may be of an earlier step, the best
    one for the classes of the labels. Every process calls it, the main one writes.
    """
    cfg = trainer.cfg
    if trainer.keeper is not None:
        trainer.checkpointer.load(last_checkpoint(cfg), checkpointables=[])
    if comm.is_main_process():
        export_backbones(cfg, trainer.method, trainer.made, half)


def export_checkpoint(cfg: CfgNode, half: bool = False) -> list[Path]:
    """The same from a checkpoint: MODEL.WEIGHTS, else the last one in OUTPUT_DIR.

    Neither data nor pretrained files are needed. ValueError where there is no checkpoint.
    """
    check_pretrains(cfg)
    path = cfg.MODEL.WEIGHTS or last_checkpoint(cfg)
    if not path:
        raise ValueError(
            f"There is nothing to export: {cfg.OUTPUT_DIR} holds no checkpoint. Pretrain first, or "
            "give MODEL.WEIGHTS, or the OUTPUT_DIR of the run."
        )
    model = build_model(started_from(cfg, path))
    content = WholeCheckpointer(model).load(path)
    return export_backbones(cfg, model, content.get("iteration", -1) + 1, half)


def check_pretrains(cfg: CfgNode) -> None:
    """ValueError where the method of a configuration is no pretraining."""
    if not method_of(cfg).pretrains:
        kinds = [name for name, kind in known_methods().items() if kind.pretrains]
        raise ValueError(
            f"MODEL.META_ARCHITECTURE {cfg.MODEL.META_ARCHITECTURE} trains a segmentation "
            f"(tools/train_net.py). What pretrains backbones is {' or '.join(kinds)}."
        )


def backbone_tensors(name: str, backbone: Any, half: bool) -> dict[str, Tensor]:
    """A backbone's tensors as its file has them, on the CPU."""
    if not hasattr(backbone, "to_file"):
        raise ValueError(
            f"MODEL.{name.upper()}.BACKBONE.NAME {type(backbone).__name__} has no layout of a file "
            "(no `to_file`), so there is nothing to export of it."
        )
    tensors = {key: x.detach().cpu().contiguous() for key, x in backbone.to_file().items()}
    if not half:
        return tensors
    small = {key: x.half() if x.is_floating_point() else x for key, x in tensors.items()}
    if lost := [key for key, x in small.items() if not x.isfinite().all()]:
        raise ValueError(
            f"{', '.join(lost[:3])} of MODEL.{name.upper()} cannot be written in float16, which "
            "holds numbers up to 65504. Write it in float32: leave --half away."
        )
    return small


def metadata(cfg: CfgNode, name: str, student: Any, steps: int) -> dict[str, str]:
    """What a file says of itself: the architecture, what it takes, and where it comes from."""
    node, backbone = cfg.MODEL[name.upper()].BACKBONE, student.backbone
    keys = {key: plain(value) for key, value in node.items() if key not in OF_A_RUN}
    features = getattr(backbone, "features", {})
    return {
        "format": "pt",  # what safetensors itself wants to know
        "architecture": json.dumps(keys),
        "activation": node.ACTIVATION,
        "depth": str(features[DENSE] + 1 if DENSE in features else node.DEPTH),  # layers in it
        "heads": str(heads_of(backbone)),
        "patch": str(backbone.size_divisibility),
        "bands": str(len(student.pixel_mean)),
        "pixel_mean": json.dumps(student.pixel_mean.flatten().tolist()),
        "pixel_std": json.dumps(student.pixel_std.flatten().tolist()),
        "method": cfg.MODEL.META_ARCHITECTURE,
        "steps": str(steps),
        "made_by": f"co2s {co2s.__version__}",
    }


def _writer(tensors: dict[str, Tensor], about: dict[str, str]) -> Any:
    # Not by safetensors itself, which lets nobody else read its files.
    return lambda draft: draft.write_bytes(save(tensors, about))
