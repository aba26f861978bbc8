"""Which scenes are predicted, and where their maps go."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from co2s.files import left_by_system

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
RASTERS = (".tif", ".tiff", ".vrt", ".img", ".jp2")


class Source(NamedTuple):
    """A scene and the path of its map below the output folder, without a suffix."""

    path: str
    name: str


def find_sources(inputs: Sequence[str], output: Path) -> list[Source]:
    """The scenes of files, folders (searched with all below them), patterns and /vsi paths.

    ValueError or FileNotFoundError where there is none, where two of them would write one map, or
    where a map would take the place of a scene.
    """
    found = dict.fromkeys(source for given in inputs for source in _expanded(given))
    by_name: dict[str, str] = {}
    for path, name in found:
        other = by_name.setdefault(name, path)
        if other != path:
            raise ValueError(
                f"{other} and {path} would both write {name} in {output}. Predict them into "
                "different folders, or name the folder above both as --input."
            )
    paths = {os.path.realpath(path) for path, _ in found}
    for path, name in found:
        for suffix in (".tif", ".png"):
            target = os.path.realpath(output / f"{name}{suffix}")
            if target in paths:
                raise ValueError(f"The map of {path} would be written over the scene {target}.")
    return sorted(found)


def _expanded(given: str) -> Iterator[Source]:
    path = Path(given)
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if _is_scene(p))
        if not inside:
            raise FileNotFoundError(
                f"No image lies in {path} ({', '.join(RASTERS + PICTURES)}). Name the files."
            )
        yield from (Source(str(p), p.relative_to(path).with_suffix("").as_posix()) for p in inside)
    elif given.startswith("/vsi") or "://" in given or path.is_file():
        yield Source(given, Path(given).stem)
    else:
        matches = sorted(p for p in glob.glob(given, recursive=True) if Path(p).is_file())
        if not matches:
            raise FileNotFoundError(f"--input {given}: no such file, seen from {Path.cwd()}.")
        yield from (Source(p, Path(p).stem) for p in matches)


def _is_scene(path: Path) -> bool:
    known = path.suffix.lower() in (*RASTERS, *PICTURES)
    hidden = any(part.startswith(".") for part in path.parts[1:])
    return known and path.is_file() and not left_by_system(path) and not hidden


class Shard(NamedTuple):
    """The part of the scenes that one of several runs takes: number 1 to `total`."""

    number: int = 1
    total: int = 1

    def of(self, sources: Sequence[Source]) -> list[Source]:
        return list(sources[self.number - 1 :: self.total])

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str]) -> "Shard":
        """From "I/N", or of a task of a Slurm array where nothing is given."""
        if text:
            parts = text.split("/")
            if len(parts) != 2 or not all(part.isdigit() for part in parts):
                raise ValueError(f"--shard must be I/N, such as 1/4, found {text!r}.")
            shard = cls(*map(int, parts))
        elif "SLURM_ARRAY_TASK_ID" in environment:
            names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
            task, first, count = (int(environment.get(name, 1)) for name in names)
            shard = cls(task - first + 1, count)
        else:
            shard = cls()
        if not 1 <= shard.number <= shard.total:
            raise ValueError(f"--shard {shard.number}/{shard.total}: I goes from 1 to N.")
        return shard
