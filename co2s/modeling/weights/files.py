"""Reading tensor files: what is stored in them, and never code."""

import argparse
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from yacs.config import CfgNode as YacsNode

from co2s.files import file_digest

from .torchscript import is_torchscript, read_torchscript

SUFFIXES = (".bin", ".ckpt", ".npz", ".pt", ".pth", ".safetensors", ".tar")
# Plain containers of settings that training scripts store beside their tensors.
SETTINGS = [argparse.Namespace, YacsNode]


class WeightsError(ValueError):
    """A file of weights that cannot be had, read or used; the message says what to do."""


def is_path(weights: str) -> bool:
    """Whether `weights` is meant as a path: it has a folder or a suffix of weight files in it."""
    path = Path(weights)
    return "/" in weights or "\\" in weights or path.suffix in SUFFIXES or path.is_file()


def local_file(weights: str) -> Path | None:
    """The file that `weights` names, or None where it is the name of published weights.

    FileNotFoundError for a path without a file.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    if is_path(weights):
        raise FileNotFoundError(
            f"Weights {weights!r}: no such file, seen from {Path.cwd()}. Give the path of a local "
            "file, or a name of published weights, which has no '/' in it."
        )
    return None


def read_tensors(path: str | Path, sha256: str = "") -> dict[str, Any]:
    """What a .safetensors, PyTorch or TorchScript file holds, nested as it is stored; on the CPU.

    No pickled code is executed: a file that would is refused. WeightsError for that, for a file
    that is damaged and for one whose SHA-256 is not the one given.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Weights '{path}': no such file, seen from {Path.cwd()}.")
    if sha256 and (found := file_digest(path)) != sha256.lower():
        raise WeightsError(
            f"Weights '{path}' have the SHA-256 {found}, but {sha256.lower()} is asked for "
            "(BACKBONE.SHA256). It is another file or a damaged one: get it again."
        )
    try:
        content = _read(path)
    except (EOFError, OSError, RuntimeError, SafetensorError, ValueError, zipfile.BadZipFile) as e:
        raise WeightsError(_damaged(path, e)) from e
    except pickle.UnpicklingError as error:
        raise WeightsError(_refused(path, error)) from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise WeightsError(f"Weights '{path}' hold a {kind}; a dict of tensors is needed.")
    return content


def read_metadata(path: str | Path) -> dict[str, str]:
    """What a .safetensors file says of itself; nothing where it says nothing or cannot be read."""
    path = Path(path).expanduser()
    if path.suffix != ".safetensors" or not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}  # whoever reads the tensors says why


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    zipped = zipfile.is_zipfile(path)
    if zipped and is_torchscript(path):
        return read_torchscript(path)
    torch.serialization.add_safe_globals(SETTINGS)
    # Mapped files are read tensor by tensor; only the zipped format can be mapped.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def _damaged(path: Path, error: Exception) -> str:
    size = path.stat().st_size / 1e6
    return (
        f"Weights '{path}' ({size:.1f} MB) cannot be read: the file is truncated or damaged, or "
        f"not a file of tensors. Get it again. ({str(error).splitlines()[0]})"
    )


def _refused(path: Path, error: Exception) -> str:
    named = re.search(r"(?:GLOBAL|function) ([\w.]+)", str(error))
    if named is None:
        return _damaged(path, error)
    return (
        f"Weights '{path}' are refused: the file asks to call '{named.group(1)}' while it is read, "
        "and could run any code. Use a .safetensors file or a plain dict of tensors. If you trust "
        "it, load it once with torch.load(path, weights_only=False) and save its tensors alone."
    )
