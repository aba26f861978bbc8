"""Files that are whole or not there: written under a hidden name beside, then renamed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file under another name, then put it in place.

    What an interrupted run leaves behind is hidden, and overwritten by the next one.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        write(draft)
        os.replace(draft, path)
    except Exception:
        draft.unlink(missing_ok=True)
        raise


def write_png(path: Path, pixels: np.ndarray, palette: list[int] | None = None) -> None:
    """Write (H, W, 3) colours, or (H, W) numbers that viewers show in the palette's colours."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if palette is not None:
        image.putpalette(palette)
    write_whole(path, lambda draft: image.save(draft, format="PNG", compress_level=3))


def copy_whole(source: Path, target: Path, link: bool = False) -> None:
    """Copy a file, or give it a second name on the same disk."""

    def make(draft: Path) -> None:
        draft.unlink(missing_ok=True)
        if link:
            os.link(source, draft)
        else:
            shutil.copyfile(source, draft)

    write_whole(target, make)
