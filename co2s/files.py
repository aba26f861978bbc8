"""The one writer of files: each is whole or not there; and what tells one file from another.

A file is made under a hidden name of its own beside its place, flushed to the disk and renamed.
Whoever reads it meanwhile sees the old one or the new one, two processes do not meet in one draft,
and permissions are those of any new file (umask).
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Write = Callable[[Path], object]  # makes a file under the path it is given

SYSTEM_FILES = (".DS_Store", "Thumbs.db", "desktop.ini")


def write_whole(path: Path, write: Write) -> None:
    """Let `write` make the file under another name, then put it in place; makes its folder.

    OSError names the file, not the draft.
    """
    write_together({path: write})


def write_together(writers: Mapping[Path, Write]) -> None:
    """Write all of several files, or leave all as they were."""
    drafts = {path: _beside(path) for path in writers}
    try:
        for path, write in writers.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with _named(path, drafts[path]):
                write(drafts[path])
                _flush(drafts[path])
        _place(drafts)
    finally:
        for draft in drafts.values():
            with suppress(OSError):
                draft.unlink()


def place_together(drafts: Mapping[Path, Path]) -> None:
    """Put finished files, by the path that each shall have, in place: all, or none of them.

    For what is made with several files at a time; they must lie on the disk of their places.
    """
    for path, draft in drafts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _flush(draft)
    _place(dict(drafts))


def write_bytes(path: Path, content: bytes) -> None:
    write_whole(path, lambda draft: draft.write_bytes(content))


def write_text(path: Path, text: str) -> None:
    """UTF-8, and the same line ends on every system."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """ValueError for NaN and infinity, which JSON has no word for."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_png(path: Path, pixels: np.ndarray, palette: list[int] | None = None) -> None:
    """Write (H, W, 3) colours, or (H, W) numbers that viewers show in the palette's colours."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if palette is not None:
        image.putpalette(palette)
    write_whole(path, lambda draft: image.save(draft, format="PNG", compress_level=3))


def copy_whole(source: Path, target: Path, link: bool = False) -> None:
    """Copy a file, or give it a second name on the same disk."""
    write_whole(target, lambda draft: (os.link if link else shutil.copyfile)(source, draft))


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new, empty folder to fill; at the end it takes the place of `folder` and all in it.

    After an error the old one is there as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft, aside = _beside(folder), _beside(folder)
    draft.mkdir()
    try:
        yield draft
        if folder.exists():
            os.replace(folder, aside)
        os.replace(draft, folder)
    except BaseException:
        if aside.exists() and not folder.exists():
            os.replace(aside, folder)
        raise
    finally:
        for rest in (draft, aside):
            shutil.rmtree(rest, ignore_errors=True)


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def left_by_system(path: Path) -> bool:
    """Whether a file manager put the file there: `.DS_Store`, macOS's `._name`, `Thumbs.db`."""
    return path.name.startswith("._") or path.name in SYSTEM_FILES


def is_draft(path: Path) -> bool:
    """Whether a file is one of this module's that was never put in place."""
    return re.fullmatch(r"\.[0-9a-f]{16}\.part", path.name) is not None


def _beside(path: Path) -> Path:
    # Not made of the file's name, which may be as long as names can be.
    return path.with_name(f".{secrets.token_hex(8)}.part")


@contextmanager
def _named(path: Path, draft: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.filename == str(draft):
            error.filename = str(path)
        elif error.filename2 == str(draft):
            error.filename2 = str(path)
        raise


def _flush(path: Path) -> None:
    """Otherwise a new name may survive a power cut that the content does not."""
    with open(path, "rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())


def _place(drafts: Mapping[Path, Path]) -> None:
    """Rename all; where one cannot be, the files that had these names before come back."""
    *first, last = drafts
    old: dict[Path, Path | None] = {}
    try:
        for path in first:
            old[path] = _beside(path) if path.exists() else None
            if aside := old[path]:
                os.replace(path, aside)
            os.replace(drafts[path], path)
        os.replace(drafts[last], last)
    except BaseException:
        for path, aside in old.items():
            path.unlink(missing_ok=True)
            if aside is not None and aside.exists():
                os.replace(aside, path)
        raise
    for aside in old.values():
        if aside is not None:
            aside.unlink(missing_ok=True)
