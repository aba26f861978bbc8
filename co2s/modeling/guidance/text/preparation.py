"""The text prototypes of a run: named, then checked where given and made where they can be."""

from pathlib import Path

from co2s.d2 import CfgNode, comm

from .prototypes import FROM_CHECKPOINT, refuse_stand_ins
from .request import Request
from .source import TextSource


def name_prototypes(cfg: CfgNode) -> None:
    """Set GUIDANCE.PROTOTYPES of every student in use to the file that a training will have.

    Where none is given and they can be made, that is a file in OUTPUT_DIR. Nothing is read or
    written: `prepare_prototypes` does that.
    """
    for name, node in _with_text(cfg):
        makes = not cfg.MODEL.WEIGHTS and TextSource.of_student(node).weights
        if makes and not node.GUIDANCE.PROTOTYPES:
            node.GUIDANCE.PROTOTYPES = _own_path(cfg, name)


def prepare_prototypes(cfg: CfgNode) -> None:
    """Check or make the text prototypes of every student in use, before a training.

    Called by every process: the first one checks and writes, the others wait. Those that
    `name_prototypes` has named are made; a file that is given is checked. With MODEL.WEIGHTS none
    are made: the checkpoint brings its own, which a given file replaces.
    Raises ValueError where prototypes do not fit the dataset or the backbone, or where a
    pretrained backbone has no text; FileNotFoundError for a file that is not there.
    """
    for name, node in _with_text(cfg):
        path = node.GUIDANCE.PROTOTYPES
        if path in ("", FROM_CHECKPOINT):
            _check_absence(cfg, name, path)
        elif comm.is_main_process():
            request = Request.of_student(cfg, name, path, TextSource.of_student(node))
            own = path == _own_path(cfg, name) and request.source.weights
            if own and not cfg.MODEL.WEIGHTS:
                request.reuse_or_make()
            else:
                request.check()
    comm.synchronize()


def _with_text(cfg: CfgNode) -> list[tuple[str, CfgNode]]:
    """Name and node of the students that have text prototypes."""
    nodes = [(name, cfg.MODEL[name.upper()]) for name in cfg.MODEL.STUDENTS]
    return [(name, node) for name, node in nodes if node.GUIDANCE.NAME == "TextPrototypes"]


def _check_absence(cfg: CfgNode, name: str, path: str) -> None:
    """ValueError where a student has no prototypes and needs some."""
    if cfg.MODEL.WEIGHTS:
        return
    if path == FROM_CHECKPOINT:
        raise ValueError(
            f"MODEL.{name.upper()}.GUIDANCE.PROTOTYPES is '{path}', and MODEL.WEIGHTS names none. "
            "Name the checkpoint, or leave PROTOTYPES empty."
        )
    refuse_stand_ins(cfg.MODEL[name.upper()])


def _own_path(cfg: CfgNode, name: str) -> str:
    return str(Path(cfg.OUTPUT_DIR) / f"prototypes_{name}.npz")
