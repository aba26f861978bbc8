"""Mappers: from a record to the item a model sees (keys: see `co2s.data`)."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from co2s.d2 import CfgNode, configurable
from co2s.semi import cutmix_box
from co2s.structures import IGNORE_LABEL

from .catalog import get_spec
from .reading.samples import Pixels, load_classes, load_image, load_labeled
from .records import Record
from .spec import DatasetSpec
from .views.build import strong_view, weak_view
from .views.strong import StrongView, apply
from .views.weak import WeakView

Item = dict


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

    def __call__(self, record: Record, rng: np.random.Generator) -> Item:
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
    """The weak and strong views of an unlabelled image and of its CutMix partner.

    Labels are neither named nor opened: only `file_name`, `window` and `dataset` of a record are
    read.
    """

    @configurable
    def __init__(
        self,
        *,
        weak: WeakView,
        strong: StrongView,
        cutmix: Mapping,
        specs: Mapping[str, DatasetSpec],
    ) -> None:
        """cutmix: the keyword arguments of `cutmix_box`."""
        self.weak = weak
        self.specs = specs
        self.strong = strong
        self.cutmix = cutmix

    @classmethod
    def from_config(cls, cfg: CfgNode, names: Sequence[str]) -> dict:
        node = cfg.INPUT.CUTMIX
        cutmix = {
            "probability": node.PROB,
            "area": tuple(node.AREA),
            "aspect": tuple(node.ASPECT),
        }
        return {
            "weak": weak_view(cfg),
            "strong": strong_view(cfg),
            "cutmix": cutmix,
            "specs": _specs(names),
        }

    def __call__(self, record: Record, partner: Record, rng: np.random.Generator) -> Item:
        item = self._views(record, rng)
        size = self.weak.size
        boxes = [cutmix_box(size, size, rng, **self.cutmix) for _ in range(2)]
        item["cutmix"] = torch.from_numpy(np.stack(boxes))
        item["partner"] = self._views(partner, rng, [bool(box.any()) for box in boxes])
        item["seed"] = int(rng.integers(2**31))
        return item

    def _views(
        self, record: Record, rng: np.random.Generator, seen: Sequence[bool] = (True, True)
    ) -> Item:
        """seen: whether anybody will look at the one and the other strong view."""
        image = load_image(record, self.specs[record["dataset"]].raster)
        geometry = self.weak.draw(rng, *image.size)
        crop = geometry.image(image.bands)
        changes = [self.strong.draw(rng) for _ in range(2)]
        strong = [
            apply(c, crop) if needed else crop for c, needed in zip(changes, seen, strict=True)
        ]
        return {
            **_about(record, image),
            "image": to_tensor(crop)[0],
            "strong": to_tensor(*strong),
            "valid": torch.from_numpy(geometry.valid(image.valid)),
        }


class EvalMapper:
    """The whole image, with its classes where the record has a label."""

    @configurable
    def __init__(self, *, specs: Mapping[str, DatasetSpec]) -> None:
        self.specs = specs

    @classmethod
    def from_config(cls, cfg: CfgNode, names: Sequence[str]) -> dict:
        return {"specs": _specs(names)}

    def __call__(self, record: Record) -> Item:
        spec = self.specs[record["dataset"]]
        image = load_image(record, spec.raster)
        item = {**_about(record, image), "image": to_tensor(image.bands)[0]}
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


def _about(record: Record, image: Pixels) -> Item:
    """What an item says of its source: names, and the size before any scaling, in pixels."""
    return {
        "file_name": record["file_name"],
        "image_id": record["image_id"],
        "height": image.size[0],
        "width": image.size[1],
    }


def _specs(names: Sequence[str]) -> dict[str, DatasetSpec]:
    specs = [get_spec(name) for name in names]
    return {spec.name: spec for spec in specs}
