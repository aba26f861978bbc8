"""Mappers: from a record to the item a model sees (see `co2s.structures.items`)."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from co2s.d2 import CfgNode, configurable
from co2s.semi import cutmix_box
from co2s.structures import IGNORE_LABEL, EvalItem, LabeledItem, UnlabeledItem, Views
from co2s.structures.items import Source

from .catalog import get_spec, known_masks
from .grounding import StoredBoxes
from .reading.samples import Pixels, load_classes, load_image, load_labeled
from .records import Record
from .spec import DatasetSpec
from .views.build import strong_view, weak_view
from .views.strong import StrongView, apply
from .views.weak import Geometry, WeakView


class LabeledMapper:
    """A weak view of a labelled image, with its classes."""

    @configurable
    def __init__(self, *, weak: WeakView, specs: Mapping[str, DatasetSpec]) -> None:
        """specs: by the name in a record's `dataset`, how its masks are decoded."""
        self.weak = weak
        self.specs = specs

    @classmethod
    def from_config(cls, cfg: CfgNode, names: Sequence[str]) -> dict:
        return {"weak": weak_view(cfg), "specs": _specs(names)}

    def __call__(self, record: Record, rng: np.random.Generator) -> LabeledItem:
        image, classes = load_labeled(record, self.specs[record["dataset"]])
        geometry = self.weak.draw(rng, *image.size)
        classes = geometry.classes(classes)
        if image.valid is not None:
            classes[~geometry.valid(image.valid)] = IGNORE_LABEL
        return {
            **_about(record, image),
            "image": to_tensor(geometry.image(image.bands))[0],
            "sem_seg": torch.from_numpy(classes),
        }


class UnlabeledMapper:
    """The views of an unlabelled image that a method asks for, and its CutMix partner's.

    Labels are neither named nor opened: only `file_name`, `window`, `image_id` and `dataset` of a
    record are read. With DATASETS.DIAGNOSE the known ones come along, for nobody to learn from.
    """

    @configurable
    def __init__(
        self,
        *,
        views: Views,
        weak: WeakView,
        strong: StrongView,
        cutmix: Mapping,
        specs: Mapping[str, DatasetSpec],
        known: Mapping[tuple[str, str], str] | None = None,
        boxes: StoredBoxes | None = None,
    ) -> None:
        """cutmix: the keyword arguments of `cutmix_box`.

        known: the mask of an image, by dataset and image_id, to diagnose by; None: of none.
        boxes: where items shall have a "grounding", what it is made of.
        """
        self.views = views
        self.weak = weak
        self.specs = specs
        self.strong = strong
        self.cutmix = cutmix
        self.known = known
        self.boxes = boxes

    @classmethod
    def from_config(cls, cfg: CfgNode, names: Sequence[str], views: Views) -> dict:
        node, known = cfg.INPUT.CUTMIX, None
        if cfg.DATASETS.DIAGNOSE:
            labeled = cfg.DATASETS.LABELED
            known = known_masks(names, get_spec(labeled[0]).class_names if labeled else None)
        cutmix = {
            "probability": node.PROB,
            "area": tuple(node.AREA),
            "aspect": tuple(node.ASPECT),
        }
        return {
            "views": views,
            "weak": weak_view(cfg),
            "strong": strong_view(cfg),
            "cutmix": cutmix,
            "specs": _specs(names),
            "known": known,
            "boxes": _stored_boxes(cfg) if views.labeled else None,
        }

    def __call__(self, record: Record, partner: Record, rng: np.random.Generator) -> UnlabeledItem:
        number, size = self.views.strong, self.weak.size
        item = self._seen(record, rng, [True] * number, diagnose=self.known is not None)
        item["seed"] = int(rng.integers(2**31))
        if self.views.cutmix:
            boxes = [cutmix_box(size, size, rng, **self.cutmix) for _ in range(number)]
            wanted = [bool(box.any()) for box in boxes]
            if self.views.draws_partner:
                # Where nothing is pasted no other image is read: the item stands in for it.
                item["partner"] = self._seen(partner, rng, wanted) if any(wanted) else item.copy()
            item["cutmix"] = torch.from_numpy(np.stack(boxes))
        return item

    def _seen(
        self,
        record: Record,
        rng: np.random.Generator,
        wanted: Sequence[bool],
        diagnose: bool = False,
    ) -> UnlabeledItem:
        """wanted: of each strong view, whether anybody will look at it; else the crop stands in."""
        image = load_image(record, self.specs[record["dataset"]].raster)
        geometry = self.weak.draw(rng, *image.size)
        crop = geometry.image(image.bands)
        changes = [self.strong.draw(rng) for _ in wanted]
        item: UnlabeledItem = {
            **_about(record, image),
            "image": to_tensor(crop)[0],
            "valid": torch.from_numpy(geometry.valid(image.valid)),
            "seed": 0,
        }
        if diagnose:
            item["diagnosis"] = torch.from_numpy(self._diagnosis(record, image, geometry))
        if self.boxes is not None:
            item["grounding"] = torch.from_numpy(self._grounding(record, image, geometry))
        if changes:
            seen = zip(changes, wanted, strict=True)
            item["strong"] = to_tensor(*(apply(c, crop) if w else crop for c, w in seen))
        return item

    def _diagnosis(self, record: Record, image: Pixels, geometry: Geometry) -> np.ndarray:
        """(S, S) uint8 classes of the weak view, 255 where they are not known."""
        assert self.known is not None
        mask = self.known.get((record["dataset"], record["image_id"]))
        if mask is None:
            return np.full((self.weak.size, self.weak.size), IGNORE_LABEL, np.uint8)
        labelled = {**record, "sem_seg_file_name": mask}
        classes = load_classes(labelled, self.specs[record["dataset"]], image)
        return geometry.classes(classes)

    def _grounding(self, record: Record, image: Pixels, geometry: Geometry) -> np.ndarray:
        """(N, S, S) uint8: what stored boxes say of the weak view, of each class."""
        assert self.boxes is not None
        maps = np.zeros((len(self.boxes.classes), self.weak.size, self.weak.size), np.uint8)
        for number, scores in self.boxes.scores(record, image.size).items():
            maps[number] = geometry.scores(scores)
        return maps


class EvalMapper:
    """The whole image, with its classes where the record has a label."""

    @configurable
    def __init__(self, *, specs: Mapping[str, DatasetSpec]) -> None:
        self.specs = specs

    @classmethod
    def from_config(cls, cfg: CfgNode, names: Sequence[str]) -> dict:
        return {"specs": _specs(names)}

    def __call__(self, record: Record) -> EvalItem:
        spec = self.specs[record["dataset"]]
        image = load_image(record, spec.raster)
        item: EvalItem = {**_about(record, image), "image": to_tensor(image.bands)[0]}
        if image.valid is not None:
            item["valid"] = torch.from_numpy(image.valid)
        if "sem_seg_file_name" in record:
            classes = load_classes(record, spec, image)
            item["sem_seg"] = torch.from_numpy(classes.astype(np.int64))
        return item


def to_tensor(*images: np.ndarray) -> Tensor:
    """N arrays (H, W, C) -> (N, C, H, W) tensor of its own memory."""
    height, width, channels = images[0].shape
    planes = np.empty((len(images), channels, height, width), images[0].dtype)
    for image, bands in zip(images, planes, strict=True):
        cv2.split(image, list(bands))  # several times faster than a copy of the transposed image
    return torch.from_numpy(planes)


def _about(record: Record, image: Pixels) -> Source:
    """What an item says of its source: names, and the size before any scaling, in pixels."""
    return {
        "file_name": record["file_name"],
        "image_id": record["image_id"],
        "height": image.size[0],
        "width": image.size[1],
    }


def _stored_boxes(cfg: CfgNode) -> StoredBoxes | None:
    """Those that the configuration's purifier looks at; None where it looks at none."""
    node = cfg.MODEL.PURIFIER
    if not (node.NAME and node.BOXES):
        return None
    return StoredBoxes(node.BOXES, get_spec(cfg.DATASETS.LABELED[0]).class_names)


def _specs(names: Sequence[str]) -> dict[str, DatasetSpec]:
    specs = [get_spec(name) for name in names]
    return {spec.name: spec for spec in specs}
