"""Panels: colours, verdicts, choice of images and the files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from co2s.d2 import DatasetCatalog, comm
from co2s.evaluation import PanelWriter
from co2s.evaluation.coloring import (
    FIRST_RIGHT,
    NEITHER_RIGHT,
    SECOND_RIGHT,
    UNLABELED,
    VERDICT_COLORS,
    color_disagreement,
    color_labels,
    judge,
)
from co2s.evaluation.extremes import Extremes
from co2s.evaluation.panels import spread

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(10, 4, [0, 3, 6, 9]), (3, 8, [0, 1, 2]), (5, 1, [0]), (0, 4, []), (7, 0, [])],
)
def test_spread(total: int, count: int, expected: list[int]) -> None:
    assert spread(total, count) == expected


def test_labels_take_the_palette_and_ignored_ones_are_dark() -> None:
    palette = [(10, 20, 30), (200, 100, 250)]
    rgb = color_labels(np.array([[0, 1], [1, 255]], dtype=np.uint8), palette)
    assert rgb.dtype == np.uint8
    assert rgb[0, 0].tolist() == [10, 20, 30]
    assert rgb[0, 1].tolist() == [200, 100, 250]
    assert rgb[1, 1].max() <= 70


def test_ignored_areas_are_striped() -> None:
    rgb = color_labels(np.full((64, 64), 255), [(255, 255, 255)])
    assert len(np.unique(rgb)) == 2


def test_judge_tells_who_is_right() -> None:
    truth = np.array([[0, 0, 0, 255, 0, 255]])
    first = np.array([[0, 1, 1, 0, 1, 1]])
    second = np.array([[1, 0, 2, 1, 1, 1]])
    expected = [[FIRST_RIGHT, SECOND_RIGHT, NEITHER_RIGHT, UNLABELED, -1, -1]]
    assert judge(first, second, truth).tolist() == expected


def test_agreement_stays_grey() -> None:
    image = np.full((1, 2, 3), (0, 100, 200), dtype=np.uint8)
    rgb = color_disagreement(np.array([[SECOND_RIGHT, -1]]), image)
    assert tuple(rgb[0, 0]) == VERDICT_COLORS[SECOND_RIGHT]
    assert len(set(rgb[0, 1].tolist())) == 1


def test_panels_of_the_chosen_images(
    dataset: str, tmp_path: Path, item: Make, output: Make
) -> None:
    writer = PanelWriter(dataset, str(tmp_path), count=1)
    label = [[0, 1], [2, 255]]
    shown = [[0, 1], [2, 0]]
    outputs = [output(shown, **{"global": shown, "local": [[1, 1], [2, 0]]})] * 2
    writer.process([item("a", label), item("b", label)], outputs)
    assert writer.evaluate() is None
    path = tmp_path / "panels" / "00000_a.png"
    pixels = {tuple(p) for p in np.array(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()}
    # the palette, the image, and the one pixel where only the global student is right
    assert {(0, 0, 255), (0, 255, 0), (100, 100, 100), VERDICT_COLORS[FIRST_RIGHT]} <= pixels


def test_a_single_prediction_and_a_large_image(
    dataset: str, tmp_path: Path, item: Make, output: Make
) -> None:
    writer = PanelWriter(dataset, str(tmp_path), count=2)
    label = np.zeros((20, 1600), dtype=int).tolist()
    large = item("b", label)
    large["image_id"], writer._chosen = "Tile 1/part b", {"Tile 1/part b": 7}
    writer.process([large], [output(label)])
    (path,) = (tmp_path / "panels").iterdir()
    assert path.name == "00007_Tile_1_part_b.png"
    assert Image.open(path).size[0] < 1600


def test_nothing_is_drawn_for_other_images(
    dataset: str, tmp_path: Path, item: Make, output: Make
) -> None:
    writer = PanelWriter(dataset, str(tmp_path), count=1, extremes=0)
    writer.process([item("b", [[0]])], [output([[0]])])
    writer.evaluate()
    assert not (tmp_path / "panels").exists()


LABEL = [[0, 0, 1, 1]]
PREDICTED = {"c": [[0, 0, 1, 1]], "a": [[0, 0, 0, 1]], "d": [[0, 0, 2, 2]], "b": [[1, 1, 0, 0]]}


@pytest.fixture
def four(dataset: str, monkeypatch: pytest.MonkeyPatch) -> str:
    records = [{"image_id": i, "file_name": f"images/{i}.png"} for i in "abcd"]
    monkeypatch.setattr(DatasetCatalog, "get", lambda name: records)
    return dataset


def seen(writer: PanelWriter, item: Make, output: Make, ids: str) -> None:
    for i in ids:
        writer.process([item(i, LABEL)], [output(PREDICTED[i])])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "panels").glob("*.png"))


def test_the_best_and_worst_images_are_drawn(
    four: str, tmp_path: Path, item: Make, output: Make
) -> None:
    """mIoU: c 100, a (2/3 + 1/2) / 2, d (1 + 0) / 2, b 0."""
    writer = PanelWriter(four, str(tmp_path), count=1, extremes=2)
    seen(writer, item, output, "abcd")
    writer.evaluate()
    expected = ["00000_a", "best_1_c", "best_2_a", "worst_1_b", "worst_2_d"]
    assert names(tmp_path) == [f"{name}.png" for name in expected]
    panels = json.loads((tmp_path / "panels" / "panels.json").read_text())["panels"]
    assert [p["file"][:-4] for p in panels] == [*expected[1:], expected[0]]
    assert [p["mIoU"] for p in panels[:4]] == pytest.approx([100, 700 / 12, 0, 50])

    again = PanelWriter(four, str(tmp_path), count=1, extremes=1)
    seen(again, item, output, "cdba")
    again.evaluate()
    assert names(tmp_path) == ["00000_a.png", "best_1_c.png", "worst_1_b.png"]


def test_each_process_draws_its_own_of_the_best_of_all(
    four: str, tmp_path: Path, item: Make, output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = (PanelWriter(four, str(tmp_path), count=0, extremes=1) for _ in range(2))
    seen(here, item, output, "ad")
    seen(there, item, output, "bc")
    other = there._extremes
    monkeypatch.setattr(
        comm, "all_gather", lambda own: [own, (other.seen, other._best, other._worst)]
    )
    here.evaluate()
    assert not (tmp_path / "panels").exists()  # a is the best of its process, c of all
    there.evaluate()
    assert names(tmp_path) == ["best_1_c.png", "worst_1_b.png"]


def test_few_images_are_kept_and_none_is_best_and_worst() -> None:
    extremes = Extremes(2)
    for i in range(50):
        if extremes.takes(float(i % 7), i):
            extremes.add(float(i % 7), i, f"content {i}")
        assert len(extremes._kept) <= 4
    found = extremes.gathered()
    assert found == {"best": [(6.0, 13), (6.0, 20)], "worst": [(0.0, 7), (0.0, 49)]}
    assert extremes.get(13) == "content 13"
    equal = Extremes(3)
    assert all(equal.takes(1.0, i) for i in "abc")
    assert equal.gathered() == {"best": [(1.0, "a")], "worst": [(1.0, "c")]}
