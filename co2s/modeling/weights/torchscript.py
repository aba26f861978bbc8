"""Tensors of a TorchScript archive (OpenAI's CLIP files), read without running its code."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Storage classes by the names that archives use for them.
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def is_torchscript(path: Path) -> bool:
    """Whether a zip file is a TorchScript archive: a plain checkpoint has no constants."""
    with zipfile.ZipFile(path) as archive:
        return any(
            name.count("/") == 1 and name.endswith("/constants.pkl") for name in archive.namelist()
        )


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The parameters and buffers of a scripted or traced module by their dotted names."""
    with zipfile.ZipFile(path) as archive:
        top = archive.namelist()[0].split("/")[0]
        with archive.open(f"{top}/data.pkl") as file:
            return dict(_tensors(_Reader(file, archive, top).load(), ""))


class _Module:
    """Stands for any object of the archive: its attributes and nothing else."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


class _Reader(pickle.Unpickler):
    """Knows tensors, containers and inert objects; everything else is refused."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, top: str):
        super().__init__(file)
        self._archive, self._top = archive, top

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch.jit._pickle", "restore_type_tag"): _first,
        }
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return _first
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"Unsupported GLOBAL {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        data = bytearray(self._archive.read(f"{self._top}/data/{key}"))
        flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        if len(flat) < count:
            raise EOFError(f"storage {key} holds {len(flat)} of {count} values")
        return flat


def _rebuild(storage: Tensor, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _first(value: Any, *_: Any) -> Any:
    return value


def _tensors(item: Any, prefix: str) -> Any:
    """(name, tensor) of an object and of all objects in it."""
    for name, value in vars(item).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")
