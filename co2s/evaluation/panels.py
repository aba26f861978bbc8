"""PanelWriter: image, truth, every prediction and the students' disagreement, side by side."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from co2s.d2 import DatasetCatalog, DatasetEvaluator, MetadataCatalog, comm
from co2s.files import write_json
from co2s.structures import IGNORE_LABEL

from .coloring import VERDICT_COLORS, Color, color_disagreement, color_labels, judge, verdict_names
from .confusion import confusion_matrix, scores
from .evaluator import FUSED, main_prediction, predictions
from .extremes import BEST, WORST, Extremes
from .figures import GREY, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist

INDEX = "panels.json"
MAX_SIDE = 768  # pixels; larger images are drawn with every second, third, ... pixel


@dataclass(frozen=True)
class Picture:
    """What a panel shows: image (H, W, 3), truth and labels (H, W), in the size drawn."""

    title: str
    stem: str  # of the file's name
    image: np.ndarray
    truth: np.ndarray
    labels: dict[str, np.ndarray]


class PanelWriter(DatasetEvaluator):
    """Draws images of a dataset into `<output_dir>/panels/`: `count` of them spread evenly, and
    those that the model does best and worst on, by their mIoU.

    One PNG for each: image and truth, where two students differ, then every prediction; the
    classes and their colours in the legend. `panels.json` beside them says which is which. Works on
    every process for the images it has seen.
    """

    def __init__(self, dataset_name: str, output_dir: str, *, count: int = 8, extremes: int = 4):
        """extremes: how many of the best, and as many of the worst."""
        metadata = MetadataCatalog.get(dataset_name)
        self._dataset_name = dataset_name
        self._class_names = list(metadata.stuff_classes)
        self._palette = [tuple(color) for color in metadata.stuff_colors]
        self._ignore = metadata.get("ignore_label", IGNORE_LABEL)
        self._folder = os.path.join(output_dir, "panels")
        self._count, self._number = count, extremes
        self.reset()

    def reset(self) -> None:
        image_ids = [record["image_id"] for record in DatasetCatalog.get(self._dataset_name)]
        self._chosen = {image_ids[i]: i for i in spread(len(image_ids), self._count)}
        self._extremes = Extremes(self._number)
        self._drawn: list[dict[str, Any]] = []  # what panels.json says of each panel

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Tensor]]) -> None:
        for item, output in zip(inputs, outputs, strict=True):
            score = self._score(item, output)
            picture = None
            if item["image_id"] in self._chosen:
                picture = self._picture(item, output)
                name = f"{self._chosen[item['image_id']]:05d}_{picture.stem}.png"
                self._draw(name, picture, score, {"kind": "spread"})
            if score is not None and self._extremes.takes(score, picture_id := item["image_id"]):
                self._extremes.add(score, picture_id, picture or self._picture(item, output))

    def evaluate(self) -> None:
        """Draw the best and worst images of all processes; nothing to report."""
        found = self._extremes.gathered()
        for kind, ranked in found.items():
            for rank, (score, image_id) in enumerate(ranked, start=1):
                picture = self._extremes.get(image_id)
                if picture is not None:
                    name = f"{kind}_{rank}_{picture.stem}.png"
                    self._draw(name, picture, score, {"kind": kind, "rank": rank})
        drawn = [entry for part in comm.gather(self._drawn) for entry in part]
        if comm.is_main_process() and drawn:
            drawn.sort(
                key=lambda entry: ((BEST, WORST, "spread").index(entry["kind"]), entry["file"])
            )
            self._remove_former({entry["file"] for entry in drawn})
            write_json(Path(self._folder, INDEX), {"panels": drawn})

    def _remove_former(self, names: set[str]) -> None:
        """The best and worst images of an evaluation before this one."""
        for kind in (BEST, WORST):
            for path in Path(self._folder).glob(f"{kind}_[0-9]*_*.png"):
                if path.name not in names:
                    path.unlink(missing_ok=True)

    def _score(self, item: dict[str, Any], output: dict[str, Tensor]) -> float | None:
        """mIoU of one image in percent, over the classes that it has; None without a label."""
        truth = item["sem_seg"].cpu().numpy()
        label = predictions(output)[main_prediction(output)].argmax(dim=0).cpu().numpy()
        matrix = confusion_matrix(truth, label, len(self._class_names), self._ignore)
        return float(scores(matrix, self._class_names)["mIoU"]) if matrix.any() else None

    def _picture(self, item: dict[str, Any], output: dict[str, Tensor]) -> Picture:
        truth = item["sem_seg"].cpu().numpy()
        step = -(-max(truth.shape) // MAX_SIDE)
        image = item["image"][:3].cpu().numpy().transpose(1, 2, 0)[::step, ::step]
        labels = {
            key: prediction.argmax(dim=0).cpu().numpy()[::step, ::step].astype(np.uint8)
            for key, prediction in predictions(output).items()
        }
        if "valid" in output:
            invalid = ~output["valid"].cpu().numpy()[::step, ::step]
            for label in labels.values():
                label[invalid] = self._ignore
        name = str(item["image_id"]).removesuffix(os.path.splitext(item["file_name"])[1])
        stem = re.sub(r"[^\w.-]+", "_", name)[-80:]
        truth = truth[::step, ::step].astype(np.uint8)
        return Picture(item["file_name"], stem, np.ascontiguousarray(image), truth, labels)

    def _draw(
        self, name: str, picture: Picture, score: float | None, entry: dict[str, Any]
    ) -> None:
        """Write a panel, and note what panels.json is to say of it."""
        image, truth, labels = picture.image, picture.truth, picture.labels
        pictures = {"image": image, "truth": color_labels(truth, self._palette, self._ignore)}
        students = [name for name in labels if name != FUSED]
        verdicts = verdict_names(*students) if len(students) == 2 else {}
        if verdicts:
            one, two = students
            verdict = judge(labels[one], labels[two], truth, self._ignore)
            differ = f"{one} ≠ {two}, {100 * (verdict >= 0).mean():.1f} % of pixels"
            pictures[differ] = color_disagreement(verdict, image)
        for prediction, label in labels.items():
            heading = f"{prediction}, {_share_right(label, truth, self._ignore)}"
            pictures[heading] = color_labels(label, self._palette, self._ignore)
        judged = "" if score is None else f", mIoU {score:.1f} %"
        path = os.path.join(self._folder, name)
        draw_grid(path, f"{picture.title}{judged}", pictures, self._legend(verdicts))
        self._drawn.append({"file": name, "image": picture.title, "mIoU": score, **entry})

    def _legend(self, verdicts: dict[int, str]) -> list["Artist"]:
        from matplotlib.patches import Patch

        entries = list(zip(self._class_names, self._palette, strict=True))
        patches: list[Artist] = [
            Patch(facecolor=_hex(color), edgecolor=GREY, label=name) for name, color in entries
        ]
        patches.append(Patch(facecolor="black", edgecolor=GREY, hatch="////", label="ignored"))
        patches += [
            Patch(facecolor=_hex(VERDICT_COLORS[key]), edgecolor=GREY, label=f"≠: {text}")
            for key, text in verdicts.items()
        ]
        return patches


def draw_grid(
    path: str, title: str, pictures: dict[str, np.ndarray], legend: list["Artist"]
) -> None:
    """Write pictures (H, W, 3) under their headings, three in a row, and a legend, to a PNG."""
    height, width = next(iter(pictures.values())).shape[:2]
    rows, entries = -(-len(pictures) // 3), -(-len(legend) // 5)
    side = 3.6
    tile = side * min(height / width, 2.5)
    total = rows * (tile + 0.3) + 0.21 * entries + 0.45
    figure = new_figure(3 * side + 0.4, total, layout="constrained")
    figure.suptitle(title if len(title) <= 110 else f"...{title[-107:]}", fontsize=9, color=GREY)
    axes = figure.subplots(rows, 3, squeeze=False).ravel()
    for axis, (heading, picture) in zip(axes, pictures.items(), strict=False):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(heading, fontsize=10)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(color=GREY, linewidth=0.6)  # a class may be as white as the page
    for axis in axes[len(pictures) :]:
        axis.set_axis_off()
    figure.legend(handles=legend, loc="outside lower center", ncols=5, fontsize=8.5, frameon=False)
    save_figure(figure, path)


def spread(total: int, count: int) -> list[int]:
    """At most `count` positions out of `total`, evenly spread, the first and last among them."""
    return sorted({round(x) for x in np.linspace(0, total - 1, min(count, total))})


def _share_right(label: np.ndarray, truth: np.ndarray, ignore: int) -> str:
    counted = truth != ignore
    if not counted.any():
        return "nothing to judge by"
    return f"{100 * (label == truth)[counted].mean():.1f} % right"


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
