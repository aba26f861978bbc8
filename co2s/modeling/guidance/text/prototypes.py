"""Explicit guidance: frozen text prototypes of the classes' concepts."""

import logging
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import CfgNode, configurable

from ..build import GUIDANCE_REGISTRY
from .file import read_prototypes
from .record import STAND_IN, PrototypeRecord, differences

logger = logging.getLogger(__name__)

FROM_CHECKPOINT = "checkpoint"  # in place of a path: a checkpoint is about to bring them
RECORD = "record_"  # start of a name in checkpoints; the number of bytes follows


@GUIDANCE_REGISTRY.register()
class TextPrototypes(nn.Module):
    """Frozen class vectors (N, C_t) from CLIP's text encoder, L2-normalised (method section 2).

    They are a buffer: a checkpoint carries them and the record of what they were made from, and no
    text encoder is needed to use it. Vectors that a file (`path`) gives stay when a checkpoint is
    loaded; else the checkpoint's come in, and must have been made for what `expect` was told.
    """

    prototypes: Tensor

    @configurable
    def __init__(
        self, *, prototypes: Tensor, record: PrototypeRecord | None = None, path: str = ""
    ):
        super().__init__()
        self.register_buffer("prototypes", F.normalize(prototypes.float(), dim=1))
        self.record, self.path = record, path
        self._wanted, self._dataset = PrototypeRecord("", "", (), (), ()), ""

    @classmethod
    def from_config(cls, cfg: CfgNode, num_classes: int, dim: int) -> dict[str, Any]:
        path = cfg.GUIDANCE.PROTOTYPES
        if path == FROM_CHECKPOINT:
            return {"prototypes": stand_in_prototypes(num_classes, dim)}
        if path:
            prototypes, record = read_prototypes(path, num_classes, dim)
            return {"prototypes": prototypes, "record": record, "path": path}
        refuse_stand_ins(cfg)
        logger.warning(
            "MODEL.*.GUIDANCE.PROTOTYPES is empty: orthogonal vectors stand in for text prototypes,"
            " as nothing in this student is pretrained."
        )
        return {"prototypes": stand_in_prototypes(num_classes, dim), "record": STAND_IN}

    def expect(self, dataset: str, wanted: PrototypeRecord) -> None:
        """What prototypes must have been made for, as a dataset declares it.

        Empty fields are not compared. ValueError, now for a file's and when it is loaded for a
        checkpoint's, where they were made for other classes, concepts or templates.
        """
        self._dataset, self._wanted = dataset, replace(wanted, model="", digest="")
        if self.path and self.record is not None:
            self._compare(self.record, f"GUIDANCE.PROTOTYPES '{self.path}'")

    def forward(self) -> Tensor:
        return self.prototypes

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.record is not None:
            data = self.record.to_tensor()
            # Its length is in its name: checkpointers drop what has another shape than the model's.
            destination[f"{prefix}{RECORD}{len(data)}"] = data

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        record = _take_record(state_dict, prefix)
        if self.path:
            self._keep_own(state_dict, f"{prefix}prototypes")
        else:
            self._check(record, prefix)
            self.record = record
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _keep_own(self, state_dict: dict[str, Any], name: str) -> None:
        """Let the file's vectors be loaded in place of the checkpoint's."""
        own, theirs = self.prototypes, state_dict.get(name)
        fits = theirs is not None and theirs.shape == own.shape
        if theirs is None or not fits or not torch.allclose(theirs.to(own), own, atol=1e-6):
            logger.info(
                "%s: those of '%s' (GUIDANCE.PROTOTYPES) replace the checkpoint's", name, self.path
            )
        state_dict[name] = own

    def _check(self, found: PrototypeRecord | None, prefix: str) -> None:
        """Hold a checkpoint to what is expected."""
        if found is None:
            logger.info(
                "%sprototypes: the checkpoint does not say which classes and concepts they were "
                "made from, so that nothing can be compared.",
                prefix,
            )
        elif found != STAND_IN:
            self._compare(found, f"The checkpoint's {prefix}prototypes", class_names=True)

    def _compare(self, found: PrototypeRecord, what: str, *, class_names: bool = False) -> None:
        differing = differences(found, self._wanted, class_names=class_names)
        if differing:
            dataset = f"the dataset '{self._dataset}'" if self._dataset else "the configuration"
            raise ValueError(
                f"{what} were made from other text than {dataset} has:\n  "
                + "\n  ".join(differing)
                + "\nTo use a model as it was trained, take the config.yaml beside it. To go on "
                "with these classes, make prototypes (tools/make_prototypes.py) and name the "
                "file as GUIDANCE.PROTOTYPES: it replaces the checkpoint's."
            )


def _take_record(state_dict: dict[str, Any], prefix: str) -> PrototypeRecord | None:
    names = [name for name in state_dict if name.startswith(f"{prefix}{RECORD}")]
    records = [PrototypeRecord.from_tensor(state_dict.pop(name)) for name in names]
    return records[0] if records else None


def refuse_stand_ins(student_cfg: CfgNode) -> None:
    """ValueError where the backbone is pretrained: vectors without meaning would waste that."""
    backbone = student_cfg.BACKBONE
    if backbone.WEIGHTS:
        raise ValueError(
            f"GUIDANCE.NAME is TextPrototypes, and there are none for the pretrained backbone "
            f"{backbone.NAME} (BACKBONE.WEIGHTS {backbone.WEIGHTS}). Set GUIDANCE.TEXT_MODEL and "
            "TEXT_WEIGHTS to a CLIP to make them with, or GUIDANCE.PROTOTYPES to a file of "
            "tools/make_prototypes.py, or GUIDANCE.NAME to LearnableQueries. (Training makes "
            "them at its start; a program calls name_prototypes and prepare_prototypes first.)"
        )


def stand_in_prototypes(num_classes: int, dim: int) -> Tensor:
    """Orthogonal unit vectors (N, C), the same on every call and machine."""
    if num_classes > dim:
        raise ValueError(f"{num_classes} orthogonal vectors do not fit into {dim} dimensions.")
    generator = torch.Generator().manual_seed(0)
    return nn.init.orthogonal_(torch.empty(num_classes, dim), generator=generator)
