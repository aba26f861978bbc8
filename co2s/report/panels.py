"""Panels of the images that the model does best and worst on."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from .folder import Missing, Run
from .images import as_jpeg
from .markup import Html, empty, figure, folded, grid, join, paragraphs, tag

WIDTH = 1000  # pixels, of a panel in the page
LIMIT = 5_000_000  # characters of all panels together; the others stay in their folder


def panels(run: Run) -> Html:
    """The best and the worst images of every test set; those spread over it folded."""
    parts, left, size = [], 0, 0
    for dataset in run.scores:
        folder = run.folder / "inference" / dataset / "panels"
        kinds: dict[str, list[Html]] = {}
        for entry in _index(folder):
            shown = _panel(folder, entry) if size < LIMIT else None
            if shown is None:
                left += 1
                continue
            size += len(shown)
            kinds.setdefault(entry["kind"], []).append(shown)
        parts += [tag("h3", dataset)] if len(run.scores) > 1 else []
        for kind, title in (("worst", "The worst images"), ("best", "The best images")):
            if kind in kinds:
                parts.append(join([tag("h3", title), grid(kinds[kind], "panels")]))
        if "spread" in kinds:
            title = f"{len(kinds['spread'])} images spread evenly over the set"
            parts.append(folded(title, grid(kinds["spread"], "panels"), opened=len(kinds) == 1))
    if not parts:
        raise Missing("There are no panels: TEST.PANELS is 0, or nothing was reported yet.")
    if left:
        parts.append(paragraphs(f"{left} more panels lie in inference/<dataset>/panels."))
    return join(parts)


def _index(folder: Path) -> list[dict[str, Any]]:
    """What panels.json lists; without one, every PNG there is."""
    try:
        return json.loads((folder / "panels.json").read_text(encoding="utf-8"))["panels"]
    except (OSError, ValueError, KeyError):
        return [{"file": p.name, "kind": "spread"} for p in sorted(folder.glob("*.png"))]


def _panel(folder: Path, entry: dict[str, Any]) -> Html | None:
    try:
        with Image.open(folder / entry["file"]) as picture:
            uri = as_jpeg(picture.convert("RGB"), WIDTH)
    except OSError:
        return None
    name = Path(entry.get("image", entry["file"])).name
    score = entry.get("mIoU")
    judged = "" if score is None else f": mIoU {score:.1f} % over the classes it has"
    alt = f"Panel of {name}: image, truth, where the students differ, and each prediction"
    return figure(empty("img", src=uri, alt=alt), f"{name}{judged}", cls="paper")
