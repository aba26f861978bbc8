"""The obvious pipeline, Pillow and torchvision: what the library's mappers are measured against.

The same operations, drawn from the same distributions; the item has the same keys.
"""

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor
from torchvision.transforms import ColorJitter, RandomApply, RandomGrayscale
from torchvision.transforms.functional import pil_to_tensor

from co2s.data.mapper import LabeledMapper, UnlabeledMapper
from co2s.data.reading.formats import is_raster
from co2s.data.reading.labels import read_classes
from co2s.data.records import Record
from co2s.data.spec import DatasetSpec
from co2s.data.views.strong import StrongView
from co2s.data.views.weak import Geometry
from co2s.semi import cutmix_box
from co2s.structures import IGNORE_LABEL

Item = dict  # as `co2s.structures.items` describes it


class PlainLabeled:
    """Does what a LabeledMapper does."""

    def __init__(self, mapper: LabeledMapper) -> None:
        self.weak = mapper.weak
        self.specs = mapper.specs

    def __call__(self, record: Record, rng: np.random.Generator) -> Item:
        spec = self.specs[record["dataset"]]
        image, mask = read_picture(record, spec), read_mask(record, spec)
        geometry = self.weak.draw(rng, image.height, image.width)
        return {
            **_about(record, image),
            "image": to_tensor(place(image, geometry, Image.Resampling.BILINEAR, 0)),
            "sem_seg": to_classes(place(mask, geometry, Image.Resampling.NEAREST, IGNORE_LABEL)),
        }


class PlainUnlabeled:
    """Does what an UnlabeledMapper does."""

    def __init__(self, mapper: UnlabeledMapper) -> None:
        self.views = mapper.views
        self.weak = mapper.weak
        self.specs = mapper.specs
        self.strong = PlainStrong(mapper.strong)
        self.cutmix = mapper.cutmix

    def __call__(self, record: Record, partner: Record, rng: np.random.Generator) -> Item:
        item = self._views(record, rng)
        size = self.weak.size
        if self.views.cutmix:
            number = range(self.views.strong)
            boxes = [cutmix_box(size, size, rng, **self.cutmix) for _ in number]
            item["cutmix"] = torch.from_numpy(np.stack(boxes))
            item["partner"] = self._views(partner, rng)
        item["seed"] = int(rng.integers(2**31))
        return item

    def _views(self, record: Record, rng: np.random.Generator) -> Item:
        image = read_picture(record, self.specs[record["dataset"]])
        geometry = self.weak.draw(rng, image.height, image.width)
        crop = place(image, geometry, Image.Resampling.BILINEAR, 0)
        inside = Image.new("1", geometry.scaled[::-1], 1)
        valid = place(inside, geometry, Image.Resampling.NEAREST, 0)
        item = {
            **_about(record, image),
            "image": to_tensor(crop),
            "valid": torch.from_numpy(np.array(valid)),
        }
        if self.views.strong:
            views = [to_tensor(self.strong(rng, crop)) for _ in range(self.views.strong)]
            item["strong"] = torch.stack(views)
        return item


class PlainStrong:
    """Does what a StrongView does; all but the blur is torchvision's, with torch's generator."""

    def __init__(self, view: StrongView) -> None:
        change = ColorJitter(view.brightness, view.contrast, view.saturation, view.hue)
        self.jitter = RandomApply([change], view.jitter_prob)
        self.gray = RandomGrayscale(view.gray_prob)
        self.blur_prob, self.blur_sigma = view.blur_prob, view.blur_sigma

    def __call__(self, rng: np.random.Generator, image: Image.Image) -> Image.Image:
        image = gray(self.gray, jitter(self.jitter, image))
        if rng.random() < self.blur_prob:
            image = blur(image, rng.uniform(*self.blur_sigma))
        return image


def read_picture(record: Record, spec: DatasetSpec) -> Image.Image:
    """The RGB picture of a record. ValueError for a raster, which Pillow knows nothing of."""
    path, window = record["file_name"], record.get("window")
    if is_raster(path, spec.raster):
        raise ValueError(
            f"{path} is read as a raster; Pillow and torchvision offer nothing to compare with. "
            "Leave --compare away, or compare on a dataset of 8-bit RGB images."
        )
    with Image.open(path) as image:
        return _cut(image.convert("RGB"), window)


def read_mask(record: Record, spec: DatasetSpec) -> Image.Image:
    """The classes of a record; the library, too, reads masks with Pillow."""
    classes = read_classes(record["sem_seg_file_name"], spec, record["file_name"])
    return _cut(Image.fromarray(classes), record.get("window"))


def place(
    image: Image.Image, geometry: Geometry, resampling: Image.Resampling, fill: int
) -> Image.Image:
    """Resize the whole, pad, crop, flip and turn."""
    (height, width), (y, x), size = geometry.scaled, geometry.origin, geometry.size
    if image.size != (width, height):
        image = image.resize((width, height), resampling)
    padding = (0, 0, max(size - width, 0), max(size - height, 0))
    if any(padding):
        image = ImageOps.expand(image, padding, fill)
    image = image.crop((x, y, x + size, y + size))
    if geometry.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if geometry.vertical_flip:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return image.rotate(90 * geometry.turns) if geometry.turns else image


def jitter(change: RandomApply, image: Image.Image) -> Image.Image:
    return change(image)


def gray(change: RandomGrayscale, image: Image.Image) -> Image.Image:
    return change(image)


def blur(image: Image.Image, sigma: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(sigma))


def to_tensor(image: Image.Image) -> Tensor:
    """(3, H, W) uint8: normalising is left to the model, as in the library."""
    return pil_to_tensor(image)


def to_classes(mask: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(mask)).long()


def _cut(image: Image.Image, window: tuple[int, int, int, int] | None) -> Image.Image:
    if window is None:
        return image
    y, x, height, width = window
    return image.crop((x, y, x + width, y + height))


def _about(record: Record, image: Image.Image) -> Item:
    return {
        "file_name": record["file_name"],
        "image_id": record["image_id"],
        "height": image.height,
        "width": image.width,
    }
