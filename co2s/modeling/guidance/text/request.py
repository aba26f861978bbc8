"""Prototypes that a student wants at a path: a file is checked, or reused or made."""

import logging
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from co2s.config import get_co2s_cfg
from co2s.d2 import CfgNode

from ...backbone import DENSE, outline
from ...metadata import Classes, declared_classes, num_classes
from .encoder import text_dim
from .file import check_shape, load_prototypes, write_prototypes
from .record import PrototypeRecord, differences
from .source import TextSource

logger = logging.getLogger(__name__)


def wanted_record(classes: Classes, student_cfg: CfgNode) -> PrototypeRecord:
    """What a student's prototypes are to be made from, whatever the text encoder."""
    templates = tuple(student_cfg.GUIDANCE.TEMPLATES)
    return PrototypeRecord("", "", classes.names, classes.concepts, templates)


def dense_channels(student_cfg: CfgNode) -> int:
    """The channels of a student's dense map."""
    channels = outline(student_cfg).output_shape()[DENSE].channels
    assert channels is not None
    return channels


@dataclass(frozen=True)
class Request:
    """Prototypes of a shape (N, C) that one student (`where`) wants at a path."""

    where: str
    path: str
    source: TextSource
    dataset: str
    wanted: PrototypeRecord
    shape: tuple[int, int]
    specs: tuple[str, ...]  # files of datasets that do not come with co2s

    @classmethod
    def of_student(cls, cfg: CfgNode, name: str, path: str, source: TextSource) -> "Request":
        student, classes = cfg.MODEL[name.upper()], declared_classes(cfg)
        if cfg.MODEL.WEIGHTS:  # the backbone's file is not read, so it is not fetched to be checked
            source = replace(source, shared=False)
        return cls(
            where=f"MODEL.{name.upper()}",
            path=path,
            source=source,
            dataset=classes.dataset,
            wanted=replace(wanted_record(classes, student), model=source.model),
            shape=(num_classes(cfg), dense_channels(student)),
            specs=tuple(cfg.DATASETS.SPECS),
        )

    def check(self) -> None:
        """ValueError where the file is of another shape or, as it says, of another origin."""
        if not Path(self.path).is_file():
            raise FileNotFoundError(
                f"{self.where}.GUIDANCE.PROTOTYPES '{self.path}': no such file, seen from "
                f"{Path.cwd()}. Make it:\n  {self._command()}\nor leave the key empty: prototypes "
                "then come from MODEL.WEIGHTS, where that is set, or are made."
            )
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
        files = (path for path in self.specs if self.dataset.startswith(f"{Path(path).stem}_"))
        options = {
            "dataset": next(files, self.dataset) or "DATASET",
            "model": self.source.model or "MODEL",
            "pretrained": self.source.weights or "TAG_OR_FILE",
        }
        if list(self.wanted.templates) != list(get_co2s_cfg().MODEL.GLOBAL.GUIDANCE.TEMPLATES):
            options["templates"] = "FILE_OF_GUIDANCE.TEMPLATES"
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        words = ["python", "tools/make_prototypes.py", *words, "--output", self.path]
        return shlex.join([*words, "--overwrite"])
