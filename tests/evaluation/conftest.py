"""A registered dataset of three classes, and one image's item and output."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from co2s.d2 import DatasetCatalog, MetadataCatalog

CLASSES = ["water", "road", "tree"]
COLORS = [[0, 0, 255], [128, 128, 128], [0, 255, 0]]


@pytest.fixture
def dataset(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a dataset of two images, "a" and "b"."""
    name = f"test_evaluation_{request.node.name}"
    records = [{"image_id": i, "file_name": f"images/{i}.png"} for i in "ab"]
    DatasetCatalog.register(name, lambda: records)
    MetadataCatalog.get(name).set(stuff_classes=CLASSES, stuff_colors=COLORS, ignore_label=255)
    yield name
    DatasetCatalog.pop(name)
    MetadataCatalog.pop(name)


@pytest.fixture
def item() -> Callable[[str, list[list[int]]], dict[str, Any]]:
    """An evaluation item from an image id and the rows of its label."""

    def make(image_id: str, label: list[list[int]]) -> dict[str, Any]:
        sem_seg = torch.tensor(label)
        height, width = sem_seg.shape
        return {
            "image": torch.full((3, height, width), 100, dtype=torch.uint8),
            "sem_seg": sem_seg,
            "image_id": image_id,
            "file_name": f"images/{image_id}.png",
            "height": height,
            "width": width,
        }

    return make


@pytest.fixture
def output() -> Callable[..., dict[str, Tensor]]:
    """A model's output from label maps: fused, and the students where given."""

    def make(fused: list[list[int]], **students: list[list[int]]) -> dict[str, Tensor]:
        maps = {"sem_seg": fused} | {f"sem_seg_{name}": rows for name, rows in students.items()}
        return {
            key: one_hot(torch.tensor(rows), len(CLASSES)).permute(2, 0, 1).float()
            for key, rows in maps.items()
        }

    return make
