"""The text prototypes of a run: checked where they are given, made where they can be."""

import logging
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from co2s.config import get_co2s_cfg
from co2s.d2 import CfgNode, MetadataCatalog, comm
from co2s.data.catalog import get_spec
from co2s.modeling.backbone import DENSE, outline
from co2s.modeling.guidance.prototype_file import (
    PrototypeRecord,
    differences,
    load_prototypes,
    write_prototypes,
)
from co2s.modeling.guidance.text import check_shape
from co2s.modeling.guidance.text_encoder import text_dim
from co2s.modeling.guidance.text_source import TextSource
from co2s.modeling.student import num_classes

logger = logging.getLogger(__name__)

Names = tuple[str, ...]


def prepare_prototypes(cfg: CfgNode) -> None:
    """Check or make the text prototypes of every student that has them, on the main process.

    Those that are made lie in OUTPUT_DIR, and GUIDANCE.PROTOTYPES becomes their path. Nothing is
    done where MODEL.WEIGHTS brings them, or where no text encoder is known: stand-ins then.
    Raises ValueError where prototypes do not fit the dataset or the backbone.
    """
    if cfg.MODEL.WEIGHTS:
        return
    frozen = cfg.is_frozen()
    cfg.defrost()
    for name in ("GLOBAL", "LOCAL"):
        if cfg.MODEL[name].GUIDANCE.NAME == "TextPrototypes":
            cfg.MODEL[name].GUIDANCE.PROTOTYPES = _prepare(cfg, name)
    if frozen:
        cfg.freeze()
    comm.synchronize()


def class_concepts(cfg: CfgNode) -> tuple[str, Names, tuple[Names, ...]]:
    """Name, classes and concepts of the first dataset that declares classes; empty: none does.

    A class of a dataset without concepts stands for itself.
    """
    for name in (*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST):
        metadata = MetadataCatalog.get(name)
        classes = tuple(metadata.get("stuff_classes", ()))
        if classes:
            concepts = metadata.get("concepts", None) or [(label,) for label in classes]
            return name, classes, tuple(tuple(names) for names in concepts)
    return "", (), ()


def dense_channels(student_cfg: CfgNode) -> int:
    """The channels of a student's dense map."""
    channels = outline(student_cfg).output_shape()[DENSE].channels
    assert channels is not None
    return channels


def _prepare(cfg: CfgNode, name: str) -> str:
    """The path of a student's prototypes, "" for none."""
    student = cfg.MODEL[name]
    source = TextSource.of_student(student)
    given = student.GUIDANCE.PROTOTYPES
    if not given and not source.weights:
        return ""
    path = given or str(Path(cfg.OUTPUT_DIR) / f"prototypes_{name.lower()}.npz")
    if comm.is_main_process():
        dataset, classes, concepts = class_concepts(cfg)
        templates = tuple(student.GUIDANCE.TEMPLATES)
        wanted = PrototypeRecord(source.model, "", classes, concepts, templates)
        shape = (num_classes(cfg), dense_channels(student))
        request = _Request(f"MODEL.{name}", path, source, dataset, wanted, shape)
        if given:
            request.check()
        else:
            request.reuse_or_make()
    return path


@dataclass(frozen=True)
class _Request:
    """Prototypes of a shape (N, C) that one student (`where`) wants at a path."""

    where: str
    path: str
    source: TextSource
    dataset: str
    wanted: PrototypeRecord
    shape: tuple[int, int]

    def check(self) -> None:
        """ValueError where the file is of another shape or, as it says, of another origin."""
        array, found = load_prototypes(self.path)
        check_shape(f"{self.where}.GUIDANCE.PROTOTYPES '{self.path}'", array.shape, *self.shape)
        if found is None:
            return  # read_prototypes says so
        model, digest = self.source.known_model(found.model), self.source.known_digest()
        wanted = replace(self.wanted, model=model, digest=digest)
        differing = differences(found, wanted)
        if differing:
            raise ValueError(
                f"{self.where}.GUIDANCE.PROTOTYPES '{self.path}' was made for something else:\n  "
                + "\n  ".join(differing)
                + f"\nMake it again:\n  {self._command()}\nor leave the key empty, so that training"
                " makes its own from GUIDANCE.TEXT_WEIGHTS, else BACKBONE.WEIGHTS."
            )
        checks = {"model": model, "weights": digest, "concepts": wanted.concepts, "templates": "t"}
        unknown = ", ".join(name for name, value in checks.items() if not value)
        logger.info(
            "%s: text prototypes %s fit%s",
            self.where,
            self.path,
            f"; not checked, because not known: {unknown}" if unknown else "",
        )

    def reuse_or_make(self) -> None:
        """Leave the file of an earlier start of this run as it is, or write it."""
        self._check_making()
        wanted = self.source.record(
            self.wanted.classes, self.wanted.concepts, self.wanted.templates
        )
        if Path(self.path).is_file():
            found = load_prototypes(self.path)[1]
            differing = ["it has no record"] if found is None else differences(found, wanted)
            if not differing:
                logger.info("%s: text prototypes of %s are reused", self.where, self.path)
                return
            logger.warning("%s: %s is made anew: %s", self.where, self.path, "; ".join(differing))
        write_prototypes(
            self.path, self.source.prototypes(wanted.concepts, wanted.templates), wanted
        )
        logger.info(
            "%s: text prototypes of %s made with %s, in %s",
            self.where,
            self.dataset,
            wanted.model,
            self.path,
        )

    def _check_making(self) -> None:
        # Before a text encoder is downloaded and run.
        classes, dim = len(self.wanted.concepts), text_dim(self.source.model)
        if classes != self.shape[0]:
            raise ValueError(
                f"{self.where}: text prototypes need the concepts of {self.shape[0]} classes "
                f"(MODEL.NUM_CLASSES); the dataset '{self.dataset}' declares {classes}. Name a "
                "dataset with concepts in DATASETS.LABELED or a file in GUIDANCE.PROTOTYPES."
            )
        what = f"{self.where}: text prototypes of {self.source.model}"
        check_shape(what, (classes, dim), *self.shape)

    def _command(self) -> str:
        """The command line that writes what is wanted, as far as it is known."""
        try:
            dataset = get_spec(self.dataset).name
        except ValueError:
            dataset = "DATASET"
        options = {
            "dataset": dataset,
            "model": self.source.model or "MODEL",
            "pretrained": self.source.weights or "TAG_OR_FILE",
        }
        if list(self.wanted.templates) != list(get_co2s_cfg().MODEL.GLOBAL.GUIDANCE.TEMPLATES):
            options["templates"] = "FILE_OF_GUIDANCE.TEMPLATES"
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        words = ["python", "tools/make_prototypes.py", *words, "--output", self.path]
        return shlex.join([*words, "--overwrite"])
