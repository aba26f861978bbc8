"""The file of text prototypes: the vectors, and a record of what they were made from."""

import json
import logging
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from co2s.files import write_whole

from .encoder import text_models
from .record import PrototypeRecord

logger = logging.getLogger(__name__)


def write_prototypes(path: str | Path, prototypes: Tensor, record: PrototypeRecord) -> None:
    """Write a .npz file, whole or not at all."""
    check_npz_name(path)
    arrays = {
        "prototypes": prototypes.float().cpu().numpy(),
        "model": np.array(record.model),
        "digest": np.array(record.digest),
        "classes": _text(record.classes),
        "concepts": _text(record.concepts),
        "templates": _text(record.templates),
    }

    def write(draft: Path) -> None:
        with open(draft, "wb") as file:  # of a path NumPy would make another one, with a suffix
            np.savez(file, **arrays)  # type: ignore[arg-type]

    write_whole(Path(path), write)


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


def read_prototypes(path: str, num_classes: int, dim: int) -> tuple[Tensor, PrototypeRecord | None]:
    """Prototypes (N, C) from a .npz file or a plain .npy, as the authors' is, and their record.

    Raises FileNotFoundError, or ValueError where the file cannot be read or the shape is not
    (num_classes, dim). The record is handed on and not compared.
    """
    array, record = load_prototypes(path)
    check_shape(f"Text prototypes '{path}'", array.shape, num_classes, dim)
    if record is None:
        logger.info(
            "Text prototypes %s say nothing of their origin: model, weights, concepts and templates"
            " cannot be checked, only the shape %s.",
            path,
            array.shape,
        )
    return torch.from_numpy(array.astype("float32")), record


def check_shape(what: str, shape: tuple[int, ...], num_classes: int, dim: int) -> None:
    """ValueError, with a way out, where prototypes do not fit the classes or the backbone."""
    if shape == (num_classes, dim):
        return
    if shape[1] == dim:
        advice = "They were made for other classes: make them for this dataset."
    else:
        advice = (
            f"Text and dense map must have the same dimensions. Set GUIDANCE.TEXT_MODEL (and "
            f"TEXT_WEIGHTS) to a model of {dim} dimensions ({_examples(dim)}), or "
            "GUIDANCE.NAME to LearnableQueries, which fit every backbone."
        )
    raise ValueError(
        f"{what} have shape {shape}, {shape[0]} classes of {shape[1]} dimensions; {num_classes} "
        f"classes and the {dim} channels of the backbone's dense map need {(num_classes, dim)}. "
        + advice
    )


def _examples(dim: int) -> str:
    return ", ".join(text_models(dim)[:4]) or "open_clip's ViTs have none"


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
