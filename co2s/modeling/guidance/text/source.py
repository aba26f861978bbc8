"""Which text encoder a student's prototypes come from, and making them with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from co2s.d2 import CfgNode

from ...backbone.clip_formats import find_clip_file
from ...weights import file_digest, local_file
from .concepts import class_prototypes
from .encoder import TextEncoder, network_name
from .record import PrototypeRecord


@dataclass(frozen=True)
class TextSource:
    """open_clip's model and its weights, a tag or a path; empty strings: unknown.

    `shared`: the backbone needs the same file, so that it may be downloaded for a check alone.
    """

    model: str
    weights: str
    sha256: str = ""
    shared: bool = False

    @classmethod
    def of_student(cls, student_cfg: CfgNode) -> "TextSource":
        """GUIDANCE.TEXT_MODEL and TEXT_WEIGHTS, where they are empty a CLIP backbone's own.

        ValueError for weights without a model.
        """
        guidance, backbone = student_cfg.GUIDANCE, student_cfg.BACKBONE
        clip = backbone.NAME == "CLIPViT"
        model = guidance.TEXT_MODEL or (backbone.MODEL if clip else "")
        weights = guidance.TEXT_WEIGHTS or (backbone.WEIGHTS if clip else "")
        if weights and not model:
            raise ValueError(
                f"GUIDANCE.TEXT_WEIGHTS is {weights!r} and GUIDANCE.TEXT_MODEL is empty, and the "
                f"backbone {backbone.NAME} is no CLIP: name open_clip's model, as ViT-L-14."
            )
        shared = clip and not guidance.TEXT_WEIGHTS and model == backbone.MODEL
        return cls(model, weights, backbone.SHA256 if shared else "", shared)

    def record(
        self,
        classes: Sequence[str],
        concepts: Sequence[Sequence[str]],
        templates: Sequence[str],
    ) -> PrototypeRecord:
        """What prototypes from here are made from; the file of the weights is found and read."""
        return PrototypeRecord(
            model=network_name(self.model, self.weights),
            digest=file_digest(find_clip_file(self.model, self.weights)),
            classes=tuple(classes),
            concepts=tuple(tuple(names) for names in concepts),
            templates=tuple(templates),
        )

    def prototypes(self, concepts: Sequence[Sequence[str]], templates: Sequence[str]) -> Tensor:
        """Class vectors (N, C); the text encoder is gone when they are returned."""
        encoder = TextEncoder.load(self.model, self.weights, self.sha256)
        return class_prototypes(encoder, concepts, templates)

    def known_digest(self) -> str:
        """The digest of the weights; empty where the file would be fetched for that alone."""
        if not self.weights:
            return ""
        if self.shared:
            return file_digest(find_clip_file(self.model, self.weights))
        try:
            path = local_file(self.weights)
        except FileNotFoundError:
            return ""
        return "" if path is None else file_digest(path)

    def known_model(self, found: str) -> str:
        """The model's name to compare with the one `found` in a file.

        Without its weights at hand only they could say which activation it has: either will do.
        """
        try:
            return network_name(self.model, self.weights) if self.weights else self._either(found)
        except FileNotFoundError:
            return self._either(found)

    def _either(self, found: str) -> str:
        same = found.removesuffix("-quickgelu") == self.model.removesuffix("-quickgelu")
        return found if same else self.model
