"""Training batches as the network saw them, from what `co2s.engine.snapshots` stored."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from co2s.evaluation.coloring import color_labels

from .folder import Missing, Run
from .formats import grouped, percent
from .images import as_jpeg, as_png
from .markup import Html, empty, figure, folded, grid, join, paragraphs, tag

SIDE = 224  # pixels, of a view in the page
OUTLINE = (255, 0, 200)  # of a CutMix box: on no land cover
FADED = 0.78  # how far a pseudo-label that does not count is drawn towards grey
GREY = 140


@dataclass(frozen=True)
class Snapshot:
    """A training batch as `co2s.engine.snapshots` stores it."""

    about: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def items(self) -> int:
        """Unlabelled ones."""
        return len(self.arrays.get("weak", ()))

    def strong(self) -> list[str]:
        return sorted(name for name in self.arrays if name.startswith("strong"))

    def students(self) -> list[str]:
        names = (n.split("/")[1] for n in self.arrays if n.startswith("label/"))
        return list(dict.fromkeys(names))


def batches(run: Run) -> Html:
    """Each stored batch: labelled crops, views after CutMix, what each student makes of them."""
    paths = sorted(run.folder.glob("snapshots/step_*.npz"))
    if not paths:
        raise Missing("There are no snapshots: TEST.SNAPSHOTS is 0, or the run is an older one.")
    parts, legend = [], Html("")
    for number, path in enumerate(paths):
        try:
            snapshot = _read(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            parts.append(paragraphs(f"{path.name} cannot be read: {error}"))
            continue
        legend = legend or _legend(snapshot)
        step = f"Step {grouped(snapshot.about['step'])}"
        parts.append(folded(step, *_batch(snapshot), opened=number in (0, len(paths) - 1)))
    explained = (
        "Two crops of each kind of a training step, at the size they were trained on or smaller. "
        "In a strong view the outline shows what CutMix pasted in. Pseudo-labels are those of the "
        "model right after the step; pale ones do not count. With a purifier: what it was given, "
        "what stored boxes say, what it made of that."
    )
    return join([paragraphs(explained), legend, *parts])


def _read(path: Path) -> Snapshot:
    with np.load(path, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    return Snapshot(json.loads(str(arrays.pop("about"))), arrays)


def _legend(snapshot: Snapshot) -> Html:
    entries = zip(snapshot.about["classes"], snapshot.about["colors"], strict=True)
    chips = [
        tag("li", tag("i", style=f"background:rgb({r} {g} {b})"), name)
        for name, (r, g, b) in entries
    ]
    return tag("ul", *chips, tag("li", tag("i", cls="ignored"), "ignored"), cls="legend")


def _batch(snapshot: Snapshot) -> Iterator[Html]:
    arrays, names = snapshot.arrays, snapshot.about["files"]
    colors = snapshot.about["colors"]
    for i, file in enumerate(names["labeled"]):
        image = arrays["labeled"][i]
        classes = color_labels(arrays["labeled_target"][i], colors)
        views = [_view(image, "labelled crop"), _view(classes, "its classes", flat=True)]
        yield _row(f"Labelled: {Path(file).name}", views)
    for i in range(snapshot.items):
        title = f"Unlabelled: {Path(names['unlabeled'][i]).name}"
        yield _row(title, _inputs(snapshot, i))
        for student in snapshot.students():
            yield grid(_labels(snapshot, i, student), "views")


def _row(title: str, views: list[Html]) -> Html:
    return join([tag("h4", title), grid(views, "views")])


def _inputs(snapshot: Snapshot, i: int) -> list[Html]:
    """The views of an unlabelled item."""
    arrays = snapshot.arrays
    views = [_view(arrays["weak"][i], "weak view")]
    for name in snapshot.strong():
        number = name.removeprefix("strong")
        box = arrays[f"box{number}"][i]
        pasted = f"{percent(box.mean())} pasted" if box.any() else "nothing pasted"
        views.append(_view(_outlined(arrays[name][i], box), f"strong view {number}, {pasted}"))
    return views


def _labels(snapshot: Snapshot, i: int, student: str) -> list[Html]:
    """What a student labels each view of an item as, in the order of the views; where they are
    purified first the labels before that, and what the boxes say."""
    views = []
    for view in ("before", "boxes_say", "weak", *snapshot.strong()):
        if view == "boxes_say" and view in snapshot.arrays:
            said = color_labels(snapshot.arrays[view][i], snapshot.about["colors"])
            views.append(_view(said, "stored boxes", True))
        if (key := f"label/{student}/{view}") in snapshot.arrays:
            kept = snapshot.arrays[f"kept/{student}/{view}"][i]
            drawn = _pseudo(snapshot.arrays[key][i], kept, snapshot.about["colors"])
            words = view.replace("strong", "strong ").replace("before", "weak, before")
            views.append(_view(drawn, f"{student}, {words}: {percent(kept.mean())} kept", True))
    return views


def _pseudo(label: np.ndarray, kept: np.ndarray, colors: list[list[int]]) -> np.ndarray:
    rgb = color_labels(label, colors).astype(np.float32)
    rgb[~kept] = (1 - FADED) * rgb[~kept] + FADED * GREY
    return rgb.astype(np.uint8)


def _outlined(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The image with the border of the box drawn inside it, about 1 % of the side wide."""
    width = max(round(len(image) / 100), 1)
    kernel = np.ones((2 * width + 1,) * 2, np.uint8)
    inner = cv2.erode(box.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    outlined = image.copy()
    outlined[box & (inner == 0)] = OUTLINE
    return outlined


def _view(pixels: np.ndarray, words: str, flat: bool = False) -> Html:
    """A picture of a view; flat: few colours, kept as they are."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    uri = as_png(picture, SIDE) if flat else as_jpeg(picture, SIDE)
    return figure(empty("img", src=uri, alt=words), words)
