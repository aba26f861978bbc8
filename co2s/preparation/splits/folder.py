"""A folder of split lists: written whole or not at all, and read back."""

from pathlib import Path

from co2s.data.splits import read_list
from co2s.files import left_by_system, replaced_folder, write_text

ROLES = ("labeled.txt", "unlabeled.txt")
SUMMARY = "summary.json"

Pair = tuple[str, str | None]


def write_split_folder(
    folder: Path, files: dict[str, str], overwrite: bool = False, keep: Path | None = None
) -> bool:
    """Write all files (path in the folder: text), or none; returns whether that was needed.

    Other lists in the folder are refused, or replaced with `overwrite`; `keep` is a file of it
    that is no obstacle. FileExistsError says what is in the way.
    """
    if _holds(folder, files):
        return False
    _refuse(folder, overwrite, keep)
    with replaced_folder(folder) as draft:
        for name, text in files.items():
            write_text(draft / name, text)
    return True


def read_split_folder(folder: Path) -> dict[str, list[Pair]]:
    """Every list in a folder as it is: {"val.txt": [(image, label)], "1_8/labeled.txt": ...}."""
    paths = [folder / "val.txt"] if (folder / "val.txt").is_file() else []
    paths += sorted(path for role in ROLES for path in folder.glob(f"*/{role}"))
    if not paths:
        raise FileNotFoundError(
            f"{folder} holds no split lists: expected are val.txt and, in a folder for each split, "
            "labeled.txt and unlabeled.txt."
        )
    return {path.relative_to(folder).as_posix(): read_list(path) for path in paths}


def _holds(folder: Path, files: dict[str, str]) -> bool:
    if not folder.is_dir() or {_name(path, folder) for path in _files(folder)} != set(files):
        return False
    return all((folder / name).read_bytes() == text.encode() for name, text in files.items())


def _refuse(folder: Path, overwrite: bool, keep: Path | None) -> None:
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; the lists need a folder of that name.")
    kept = keep.resolve() if keep else None
    inside = [path for path in _files(folder) if path.resolve() != kept]
    foreign = [path for path in inside if not _is_ours(_name(path, folder))]
    if foreign:
        raise FileExistsError(
            f"{folder} holds files that are no split lists, the first: {foreign[0]}. Give another "
            "--output."
        )
    if inside and not overwrite:
        raise FileExistsError(
            f"{folder} holds other lists already, {len(inside)} files: {_name(inside[0], folder)} "
            "and so on. Give another --output, or --overwrite to replace them all."
        )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.rglob("*") if p.is_file() and not left_by_system(p))


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _is_ours(name: str) -> bool:
    split, _, role = name.rpartition("/")
    return name in ("val.txt", SUMMARY) or (bool(split) and "/" not in split and role in ROLES)
