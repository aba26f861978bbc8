"""The file of text prototypes: the vectors, and a record of what they were made from."""

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

SHOWN = 3  # classes whose concepts an error lists
Names = tuple[str, ...]


@dataclass(frozen=True)
class PrototypeRecord:
    """What prototypes were made from; the class names are there to be read, the rest decides.

    `model` is open_clip's name, `digest` the SHA-256 of the weight file, `concepts` one set for
    each class in order.
    """

    model: str
    digest: str
    classes: Names
    concepts: tuple[Names, ...]
    templates: Names


def differences(found: PrototypeRecord, wanted: PrototypeRecord) -> list[str]:
    """One line for each of model, digest, concepts and templates that differs; what is empty in
    `wanted` is unknown and not compared."""
    result = []
    for field in ("model", "digest", "templates"):
        has, needs = getattr(found, field), getattr(wanted, field)
        if needs and has != needs:
            result.append(f"{field}: found {_shown(has)}, wanted {_shown(needs)}")
    if wanted.concepts and found.concepts != wanted.concepts:
        result.append(f"concepts: {_concept_differences(found, wanted)}")
    return result


def write_prototypes(path: str | Path, prototypes: Tensor, record: PrototypeRecord) -> None:
    """Write a .npz file, all at once: whoever reads it sees the old file or the new one."""
    path = Path(path)
    check_npz_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            np.savez(
                file,
                prototypes=prototypes.float().cpu().numpy(),
                model=np.array(record.model),
                digest=np.array(record.digest),
                classes=_text(record.classes),
                concepts=_text(record.concepts),
                templates=_text(record.templates),
            )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_prototypes(path: str | Path) -> tuple[np.ndarray, PrototypeRecord | None]:
    """The array (N, C) of an .npz or .npy file, and its record where it has one.

    FileNotFoundError, or ValueError for a file that is damaged, pickled, or holds no prototypes.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"Text prototypes '{path}': no such file (GUIDANCE.PROTOTYPES).")
    try:
        return _read(path)
    except (EOFError, KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"Text prototypes '{path}' cannot be read ({error}). Give a .npz file of "
            "tools/make_prototypes.py, or a plain .npy array (N, C) without pickled objects."
        ) from error


def check_npz_name(path: str | Path) -> None:
    """ValueError unless a file that is to hold prototypes and their record is called .npz."""
    if Path(path).suffix != ".npz":
        raise ValueError(f"Prototypes are written as .npz, with their record; found '{path}'.")


def _text(names: tuple) -> np.ndarray:
    # JSON in an array of one string: loads without pickle.
    return np.array(json.dumps(names, ensure_ascii=False))


def _read(path: str | Path) -> tuple[np.ndarray, PrototypeRecord | None]:
    data = np.load(path, allow_pickle=False)
    if isinstance(data, np.ndarray):
        return _checked(data), None
    with data:
        if "prototypes" not in data:
            raise ValueError(f"it has the arrays {sorted(data)} and none called prototypes")
        array = _checked(data["prototypes"])
        return array, (_record(data) if "digest" in data else None)


def _checked(array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"the array has shape {array.shape} and type {array.dtype}")
    if not np.isfinite(array).all() or not array.any(axis=1).all():
        raise ValueError("a class vector is zero or not finite")
    return array


def _record(data: np.lib.npyio.NpzFile) -> PrototypeRecord:
    return PrototypeRecord(
        model=str(data["model"]),
        digest=str(data["digest"]),
        classes=tuple(json.loads(str(data["classes"]))),
        concepts=tuple(tuple(names) for names in json.loads(str(data["concepts"]))),
        templates=tuple(json.loads(str(data["templates"]))),
    )


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
