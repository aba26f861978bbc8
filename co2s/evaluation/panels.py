"""PanelWriter: image, truth, every prediction and the students' disagreement, side by side."""

import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from co2s.d2 import DatasetCatalog, DatasetEvaluator, MetadataCatalog
from co2s.structures import IGNORE_LABEL

from .coloring import VERDICT_COLORS, Color, color_disagreement, color_labels, judge, verdict_names
from .evaluator import FUSED, predictions
from .figures import GREY, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist

MAX_SIDE = 768  # pixels; larger images are drawn with every second, third, ... pixel


class PanelWriter(DatasetEvaluator):
    """Draws `count` images spread evenly over a dataset into `<output_dir>/panels/`.

    One PNG for each: image and truth, where two students differ, then every prediction; the
    classes and their colours in the legend. Works on every process for the images it has seen.
    """

    def __init__(self, dataset_name: str, output_dir: str, *, count: int = 8):
        metadata = MetadataCatalog.get(dataset_name)
        self._dataset_name = dataset_name
        self._class_names = list(metadata.stuff_classes)
        self._palette = [tuple(color) for color in metadata.stuff_colors]
        self._ignore = metadata.get("ignore_label", IGNORE_LABEL)
        self._folder = os.path.join(output_dir, "panels")
        self._count = count
        self.reset()

    def reset(self) -> None:
        image_ids = [record["image_id"] for record in DatasetCatalog.get(self._dataset_name)]
        self._chosen = {image_ids[i]: i for i in spread(len(image_ids), self._count)}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Tensor]]) -> None:
        for item, output in zip(inputs, outputs, strict=True):
            if item["image_id"] in self._chosen:
                self._write(item, output)

    def evaluate(self) -> None:
        """Nothing to report: the pictures are written already."""

    def _write(self, item: dict[str, Any], output: dict[str, Tensor]) -> None:
        truth = item["sem_seg"].cpu().numpy()
        step = -(-max(truth.shape) // MAX_SIDE)
        image = item["image"][:3].cpu().numpy().transpose(1, 2, 0)[::step, ::step]
        truth = truth[::step, ::step]
        labels = {
            name: prediction.argmax(dim=0).cpu().numpy()[::step, ::step]
            for name, prediction in predictions(output).items()
        }
        if "valid" in output:
            invalid = ~output["valid"].cpu().numpy()[::step, ::step]
            for label in labels.values():
                label[invalid] = self._ignore
        name = str(item["image_id"]).removesuffix(os.path.splitext(item["file_name"])[1])
        stem = re.sub(r"[^\w.-]+", "_", name)[-80:]
        path = os.path.join(self._folder, f"{self._chosen[item['image_id']]:05d}_{stem}.png")
        self._draw(path, item["file_name"], image, truth, labels)

    def _draw(
        self,
        path: str,
        title: str,
        image: np.ndarray,
        truth: np.ndarray,
        labels: dict[str, np.ndarray],
    ) -> None:
        pictures = {"image": image, "truth": color_labels(truth, self._palette, self._ignore)}
        students = [name for name in labels if name != FUSED]
        verdicts = verdict_names(*students) if len(students) == 2 else {}
        if verdicts:
            one, two = students
            verdict = judge(labels[one], labels[two], truth, self._ignore)
            differ = f"{one} ≠ {two}, {100 * (verdict >= 0).mean():.1f} % of pixels"
            pictures[differ] = color_disagreement(verdict, image)
        for name, label in labels.items():
            heading = f"{name}, {_share_right(label, truth, self._ignore)}"
            pictures[heading] = color_labels(label, self._palette, self._ignore)
        draw_grid(path, title, pictures, self._legend(verdicts))

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
