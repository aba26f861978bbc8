"""What text prototypes were made from: compared, and carried by files and checkpoints."""

import json
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

SHOWN = 3  # classes whose concepts an error lists
Names = tuple[str, ...]


@dataclass(frozen=True)
class PrototypeRecord:
    """Class names, and what decides the vectors; an empty field is unknown.

    `model` is open_clip's name, `digest` the SHA-256 of the weight file, `concepts` one set for
    each class in order.
    """

    model: str
    digest: str
    classes: Names
    concepts: tuple[Names, ...]
    templates: Names

    def to_tensor(self) -> Tensor:
        """The record as bytes (L,) uint8: checkpointers take tensors and nothing else."""
        return torch.frombuffer(bytearray(json.dumps(asdict(self)).encode()), dtype=torch.uint8)

    @classmethod
    def from_tensor(cls, data: Tensor) -> "PrototypeRecord":
        """The record in such bytes; ValueError where they hold none."""
        try:
            found = json.loads(bytes(data.cpu().tolist()).decode())
            concepts = tuple(tuple(names) for names in found["concepts"])
            classes, templates = tuple(found["classes"]), tuple(found["templates"])
            return cls(found["model"], found["digest"], classes, concepts, templates)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                "The checkpoint's record of its text prototypes cannot be read: the file is "
                f"damaged, or of a later version of co2s ({error})."
            ) from error


# Of vectors that no text was turned into (`prototypes.stand_in_prototypes`).
STAND_IN = PrototypeRecord("stand-in", "", (), (), ())


def differences(
    found: PrototypeRecord, wanted: PrototypeRecord, *, class_names: bool = False
) -> list[str]:
    """One line for each of model, digest, templates and concepts that differs.

    What is empty in `wanted` is unknown and not compared. The names of classes are compared where
    they are asked for: they are not embedded, but say what a trained model's classes are.
    """
    fields = ["model", "digest", "templates", *(["classes"] if class_names else [])]
    result = []
    for field in fields:
        has, needs = getattr(found, field), getattr(wanted, field)
        if needs and has != needs:
            result.append(f"{field}: found {_shown(has)}, wanted {_shown(needs)}")
    if wanted.concepts and found.concepts != wanted.concepts:
        result.append(f"concepts: {_concept_differences(found, wanted)}")
    return result


def _concept_differences(found: PrototypeRecord, wanted: PrototypeRecord) -> str:
    if len(found.concepts) != len(wanted.concepts):
        return (
            f"found {len(found.concepts)} classes ({', '.join(found.classes)}), "
            f"wanted {len(wanted.concepts)} ({', '.join(wanted.classes)})"
        )
    pairs = enumerate(zip(found.concepts, wanted.concepts, strict=True))
    lines = [
        f"class {k} ({wanted.classes[k]}): found {_shown(has)}, wanted {_shown(needs)}"
        for k, (has, needs) in pairs
        if has != needs
    ]
    more = [f"and {len(lines) - SHOWN} more classes"] if len(lines) > SHOWN else []
    return "; ".join(lines[:SHOWN] + more)


def _shown(value: str | Names) -> str:
    return value if isinstance(value, str) else ", ".join(map(repr, value))
