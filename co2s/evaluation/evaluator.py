"""SegmentationEvaluator: every prediction of a model, scored over a dataset and all processes."""

import logging
from collections import Counter, OrderedDict
from typing import Any

import numpy as np
from torch import Tensor

from co2s.d2 import DatasetCatalog, DatasetEvaluator, MetadataCatalog, comm
from co2s.structures import IGNORE_LABEL

from .boundary import add_boundary_scores, boundary_counts
from .confusion import confusion_matrix, scores
from .per_image import filled_cells, write_per_image
from .report import as_results, as_table, write_scores

MAIN = "sem_seg"  # the prediction that counts, in outputs and results; the others are MAIN_<name>
FUSED = "fused"

Item = dict[str, Any]


def predictions(output: dict[str, Tensor]) -> dict[str, Tensor]:
    """Class scores (N, H, W) of one image by name: "sem_seg_<name>" is <name>.

    What is more than one of those, "sem_seg", is called fused; a model that names none has a
    "prediction". In the order in which tables and pictures show them: the fused one comes last.
    """
    named = {
        key.removeprefix(f"{MAIN}_"): value
        for key, value in output.items()
        if key.startswith(f"{MAIN}_")
    }
    if any(value is output[MAIN] for value in named.values()):
        return named
    return {**named, FUSED: output[MAIN]} if named else {"prediction": output[MAIN]}


def main_prediction(output: dict[str, Tensor]) -> str:
    """The name of the prediction that "sem_seg" is."""
    return next(name for name, value in predictions(output).items() if value is output[MAIN])


class SegmentationEvaluator(DatasetEvaluator):
    """One confusion matrix for each prediction, over the whole dataset (method section 5).

    Every image has to be seen exactly once over all processes. On the main process `evaluate`
    logs a table and writes `<output_dir>/scores.json` and, of single images, `per_image.npz`. All
    scores are percentages.
    """

    def __init__(
        self,
        dataset_name: str,
        output_dir: str | None = None,
        *,
        absent_as_zero: bool = False,
        boundary_tolerance: int = 0,
    ):
        """boundary_tolerance: in pixels, of the boundary F1; 0: it is not computed."""
        metadata = MetadataCatalog.get(dataset_name)
        self._dataset_name = dataset_name
        self._class_names = list(metadata.stuff_classes)
        self._ignore = metadata.get("ignore_label", IGNORE_LABEL)
        self._output_dir = output_dir
        self._absent_as_zero = absent_as_zero
        self._tolerance = boundary_tolerance
        self._logger = logging.getLogger(__name__)
        self.reset()

    def reset(self) -> None:
        self._image_ids: list[Any] = []
        self._main = ""
        self._matrices: dict[str, np.ndarray] = {}
        self._boundaries: dict[str, np.ndarray] = {}
        self._cells: dict[str, list[np.ndarray]] = {}  # of single images

    def process(self, inputs: list[Item], outputs: list[dict[str, Tensor]]) -> None:
        """Count the pixels of a batch: items with "sem_seg" (H, W), outputs (N, H, W) by key."""
        for item, output in zip(inputs, outputs, strict=True):
            truth = truth_of(item)
            for name, prediction in predictions(output).items():
                label = self._label(name, prediction)
                matrix = self._count(item, truth, name, label)
                self._matrices[name] = self._matrices.get(name, 0) + matrix
                self._cells.setdefault(name, []).append(filled_cells(matrix))
                if self._tolerance:
                    counts = boundary_counts(
                        truth, label, len(self._class_names), self._tolerance, self._ignore
                    )
                    self._boundaries[name] = self._boundaries.get(name, 0) + counts
            self._main = main_prediction(output)
            self._image_ids.append(item["image_id"])

    def _label(self, name: str, prediction: Tensor) -> np.ndarray:
        n = len(self._class_names)
        if len(prediction) != n:
            raise ValueError(
                f"The {name} prediction has {len(prediction)} classes, {self._dataset_name!r} has "
                f"{n}. Was the model trained on another dataset? See MODEL.NUM_CLASSES."
            )
        return prediction.argmax(dim=0).cpu().numpy()

    def _count(self, item: Item, truth: np.ndarray, name: str, label: np.ndarray) -> np.ndarray:
        try:
            return confusion_matrix(truth, label, len(self._class_names), self._ignore)
        except ValueError as error:
            raise ValueError(f"{item['file_name']}, {name} prediction: {error}") from error

    def evaluate(self) -> "OrderedDict[str, dict[str, float]] | None":
        """{"<prediction>": {"mIoU", "OA", "F1", "kappa", "IoU-<class>"}, ..., "sem_seg": {"mIoU"}}.

        The last is that of the prediction that counts, whatever its name. With a tolerance there
        is "BF1", too.

        None on all processes but the main one. Raises ValueError where an image was seen twice
        or not at all, and where not one pixel is labelled.
        """
        own = (self._image_ids, self._matrices, self._main, self._cells, self._boundaries)
        gathered = comm.gather(own)
        if not comm.is_main_process():
            return None
        image_ids = [image_id for ids, *_ in gathered for image_id in ids]
        check_seen_once(image_ids, self._dataset_name)
        matrices = _merge([matrices for _, matrices, *_ in gathered])
        result = {
            name: scores(matrix, self._class_names, absent_as_zero=self._absent_as_zero)
            for name, matrix in matrices.items()
        }
        boundaries = _merge([counts for *_, counts in gathered])
        for name, counts in boundaries.items():
            add_boundary_scores(result[name], counts, self._absent_as_zero)
        main = next(name for _, _, name, *_ in gathered if name)
        self._logger.info(as_table(result, self._dataset_name, len(image_ids)))
        if self._output_dir:
            write_scores(
                self._output_dir,
                result,
                matrices,
                dataset=self._dataset_name,
                class_names=self._class_names,
                images=len(image_ids),
                main=main,
                absent_as_zero=self._absent_as_zero,
                boundaries=boundaries,
                boundary_tolerance=self._tolerance,
            )
            cells = _joined([cells for *_, cells, _ in gathered])
            write_per_image(self._output_dir, image_ids, cells, len(self._class_names))
        results = as_results(result)
        results[MAIN] = {"mIoU": results[main]["mIoU"]}
        return results


def check_seen_once(image_ids: list[Any], dataset_name: str) -> None:
    """Raise ValueError unless every image of the dataset was seen, and none of them twice."""
    twice = [str(image_id) for image_id, count in Counter(image_ids).items() if count > 1]
    if twice:
        raise ValueError(
            f"{dataset_name!r}: {len(twice)} images were scored more than once, such as "
            f"{', '.join(twice[:3])}. Use a sampler that does not pad, such as InferenceSampler, "
            "and give each image its own image_id."
        )
    expected = len(DatasetCatalog.get(dataset_name))
    if len(image_ids) != expected:
        raise ValueError(
            f"{dataset_name!r} has {expected} images, {len(image_ids)} were scored. "
            "Score the whole dataset, each image exactly once."
        )


def truth_of(item: Item) -> np.ndarray:
    """The classes (H, W) of an item; ValueError where it has none."""
    if item.get(MAIN) is None:
        raise ValueError(
            f"{item['file_name']} has no label, so it cannot be scored. Leave it out of the "
            "evaluation split or add its label."
        )
    return np.asarray(item[MAIN].cpu())


def _joined(parts: list[dict[str, list[np.ndarray]]]) -> dict[str, list[np.ndarray]]:
    """All processes' lists by name, one after the other."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: [value for part in parts for value in part.get(name, [])] for name in names}


def _merge(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Sum of the matrices by name; a process that saw no image has none."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.sum([part[name] for part in parts if name in part], axis=0) for name in names}
