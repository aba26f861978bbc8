"""Floors: what the least that could be done reaches on the data of a run.

A linear layer on features that no method has trained, fitted to the labelled images. A table
without them cannot tell what a method gives from what the data or the pretrained weights give.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from co2s.config import add_backbone, get_co2s_cfg, value_at
from co2s.d2 import CfgNode, comm
from co2s.files import write_text
from co2s.modeling.backbone import patch_size

from .checkpoints import WholeCheckpointer
from .facts import now, write_facts
from .probe import fit_floor
from .report import options, write_report
from .setup import elsewhere
from .trainer import SemiSupervisedTrainer

logger = logging.getLogger(__name__)

STUDENT = "linear"  # the one student of a floor, and so the name of its prediction
COLOR = "Floor: colour statistics"
# What a floor reads of a run's configuration; all else has its default, so that floors of runs
# that differ in nothing else are the same.
READ = (
    "CPU_MATMUL",
    "DATALOADER.MAX_BAD_FILES",
    "DATALOADER.NUM_WORKERS",
    "DATASETS.LABELED",
    "DATASETS.ROOT",
    "DATASETS.SPECS",
    "DATASETS.TEST",
    "FLOAT32_PRECISION",
    "INPUT.CROP_SIZE",
    "INPUT.TEST_BASE_SIZE",
    "INPUT.TEST_SCALE",
    "MODEL.DEVICE",
    "MODEL.NUM_BANDS",
    "MODEL.NUM_CLASSES",
    "MODEL.PIXEL_MEAN",
    "MODEL.PIXEL_STD",
    "TEST.ABSENT_AS_ZERO",
    "TEST.BOUNDARY_TOLERANCE",
    "TEST.STRIDE_RATIO",
    "TEST.WINDOW_BATCH",
    "TEST.WINDOW_SIZE",
)


def floors(cfg: CfgNode, folder: str | Path = "") -> dict[str, CfgNode]:
    """The floors of a run by title, each a configuration for `score_floor`.

    Colour statistics of the patches that the students see; then the backbone of each student as it
    is configured, and with random weights where that is another one. Equal backbones count once.
    Only random ones depend on SEED. They write into folders of `folder`, by default
    `<OUTPUT_DIR>/floors`. ValueError for a run that starts from a checkpoint.
    """
    if cfg.MODEL.WEIGHTS:
        raise ValueError(
            f"MODEL.WEIGHTS is '{cfg.MODEL.WEIGHTS}': a run that starts from a checkpoint has no "
            "floors, as its backbones' own weights are not used. Compare without floors, or give "
            "the weights as BACKBONE.WEIGHTS."
        )
    place = Path(folder or Path(cfg.OUTPUT_DIR) / "floors")
    return dict(_floors(cfg, place))


def _floors(cfg: CfgNode, place: Path) -> Iterator[tuple[str, CfgNode]]:
    nodes = {name: cfg.MODEL[name.upper()] for name in cfg.MODEL.STUDENTS}
    color = add_backbone(CfgNode(), "ColorStatistics", "", [0, 0, 0]).BACKBONE
    color.PATCH_SIZE = min(patch_size(node) for node in nodes.values())
    yield COLOR, _floor(cfg, color, place / "color")
    for names, backbone in _distinct(nodes):
        title, slug = f"Floor: {' and '.join(names)} backbone", "_".join(names)
        if backbone.WEIGHTS:
            yield f"{title}, pretrained", _floor(cfg, backbone, place / f"{slug}_pretrained")
            backbone = backbone.clone()
            backbone.WEIGHTS = backbone.SHA256 = ""
        own = _floor(cfg, backbone, place / f"{slug}_random_seed{cfg.SEED}", cfg.SEED)
        yield f"{title}, random", own


def _distinct(nodes: Mapping[str, CfgNode]) -> list[tuple[list[str], CfgNode]]:
    """Every backbone once, with the names of the students that have it."""
    found: list[tuple[list[str], CfgNode]] = []
    for name, node in nodes.items():
        backbone = node.BACKBONE.clone()
        backbone.defrost()
        backbone.TRAINABLE = []  # nothing is, whatever the run trains
        same = next((names for names, other in found if other == backbone), None)
        if same is None:
            found.append(([name], backbone))
        else:
            same.append(name)
    return found


def _floor(cfg: CfgNode, backbone: CfgNode, folder: Path, seed: int = 0) -> CfgNode:
    own = get_co2s_cfg([STUDENT])
    for key in READ:
        section, _, last = key.rpartition(".")
        (value_at(own, section) if section else own)[last] = value_at(cfg, key)
    own.MODEL.META_ARCHITECTURE, own.MODEL.STUDENTS = "OnlySup", (STUDENT,)
    node = own.MODEL[STUDENT.upper()]
    node.BACKBONE, node.BACKBONE.TRAINABLE = backbone.clone(), []
    node.HEAD.NAME, node.GUIDANCE.NAME = "LinearHead", "NoGuidance"
    own.SEED, own.OUTPUT_DIR = seed, str(folder)
    own.freeze()
    return own


def distinct_floors(
    runs: Mapping[str, Sequence[CfgNode]], folder: str | Path
) -> dict[str, list[CfgNode]]:
    """The floors of several runs, each once: by title, one configuration or one for each seed.

    runs: by title, the configurations of a run over its seeds. Where runs differ in something that
    a floor reads, the later one's floor is another, has its title behind its own, and a folder of
    its own.
    """
    found: dict[str, list[CfgNode]] = {}
    for title, cfgs in runs.items():
        by_seed = [floors(cfg, folder) for cfg in cfgs]
        for name in by_seed[0]:
            own = _once([part[name] for part in by_seed])
            alike = [part for key, part in found.items() if key.startswith(name)]
            if any(_content(own) == _content(part) for part in alike):
                continue
            if alike:
                place = Path(folder) / folder_name(title)
                own = [elsewhere(c, str(place / Path(c.OUTPUT_DIR).name)) for c in own]
            found[f"{name} ({title})" if alike else name] = own
    return found


def folder_name(title: str) -> str:
    """A title as the name of a file or folder on any system; "" where nothing of it can stay."""
    return re.sub(r"[^\w.+-]+", "_", title)[:80].strip("._-")


def _once(cfgs: Sequence[CfgNode]) -> list[CfgNode]:
    return list({cfg.OUTPUT_DIR: cfg for cfg in cfgs}.values())


def _content(cfgs: Sequence[CfgNode]) -> list[dict[str, Any]]:
    """What is computed, wherever it is written."""
    return [{**options(cfg), "OUTPUT_DIR": ""} for cfg in cfgs]


def score_floor(cfg: CfgNode) -> dict[str, Any]:
    """Fit a floor, save it as a run saves itself, score it on DATASETS.TEST and report.

    OUTPUT_DIR gets config.yaml, model_final.pth, facts.json, scores, and last of all report.json.
    ValueError in several processes: a floor is the work of one.
    """
    if comm.get_world_size() > 1:
        raise ValueError(
            f"A floor is fitted by one process, and these are {comm.get_world_size()}. Start one."
        )
    logger.info("A floor is fitted, into %s", cfg.OUTPUT_DIR)
    started, begun = now(), time.perf_counter()
    model = fit_floor(cfg)
    seconds = time.perf_counter() - begun
    write_text(Path(cfg.OUTPUT_DIR) / "config.yaml", cfg.dump())
    WholeCheckpointer(model, cfg.OUTPUT_DIR).save("model_final")
    write_facts(cfg, model, started, seconds)
    results = SemiSupervisedTrainer.test(cfg, model)
    write_report(cfg, results, None, 0)
    return results
