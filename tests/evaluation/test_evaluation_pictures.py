"""Curves and confusion pictures from the files that a run leaves."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Patch
from PIL import Image

from co2s.evaluation import figures, write_confusion, write_curves, write_run_pictures
from co2s.evaluation.curves import _term_and_student
from co2s.evaluation.figures import drawable, new_figure, save_figure
from co2s.evaluation.heatmap import _cell
from co2s.evaluation.metrics import read_metrics


def write_lines(folder: Path, *records: dict[str, Any], tail: str = "") -> None:
    (folder / "metrics.json").write_text("".join(json.dumps(r) + "\n" for r in records) + tail)


def test_a_resumed_run_is_read_in_order_and_the_last_value_counts(tmp_path: Path) -> None:
    records = [{"iteration": i, "total_loss": float(i)} for i in (10, 20, 30)]
    again = [{"iteration": i, "total_loss": 0.5 * i, "lr": 0.1} for i in (20, 40)]
    write_lines(tmp_path, *records, *again)
    metrics = read_metrics(str(tmp_path))
    assert metrics["total_loss"] == ([10, 20, 30, 40], [10.0, 10.0, 30.0, 20.0])
    assert metrics["lr"] == ([20, 40], [0.1, 0.1])


def test_an_unfinished_line_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_lines(tmp_path, {"iteration": 1, "lr": 1.0}, tail='{"iteration": 2, "l')
    logger = logging.getLogger("co2s.evaluation.metrics")
    logger.addHandler(caplog.handler)
    try:
        assert read_metrics(str(tmp_path)) == {"lr": ([1], [1.0])}
    finally:
        logger.removeHandler(caplog.handler)
    assert "passed over the unreadable line" in caplog.text


def test_no_metrics(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No metrics\.json in .* Train first"):
        write_run_pictures(str(tmp_path))
    (tmp_path / "metrics.json").touch()
    with pytest.raises(ValueError, match="holds no scalar"):
        write_run_pictures(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss_sup_global", ("sup", "global")),
        ("loss_strong1_local", ("strong1", "local")),
        ("loss_sup", ("sup", "")),
        ("loss_mean_teacher", ("mean_teacher", "")),
    ],
)
def test_names_of_losses(name: str, expected: tuple[str, str]) -> None:
    assert _term_and_student(name, ["global", "local"]) == expected


def test_cells_tell_a_trace_from_nothing() -> None:
    assert [_cell(x) for x in (0.0, 0.4, 0.6, 99.6)] == ["·", "<1", "1", "100"]


def test_pictures_of_a_run(tmp_path: Path) -> None:
    train = {"total_loss": 1.0, "loss_sup_global": 0.5, "loss_sup_local": 0.0, "lr": 1e-4}
    write_lines(
        tmp_path,
        {"iteration": 19, "coverage/global": 0.2, "coverage/global/road": 0.1, **train},
        {"iteration": 29, "stability_weight": 0.1},
        {"iteration": 39, "fused/mIoU": 50.0, "some_set/global/mIoU": float("nan"), **train},
    )
    folder = tmp_path / "inference" / "val"
    folder.mkdir(parents=True)
    score = {"mIoU": 50.0, "OA": 60.0}
    content = {
        "dataset": "val",
        "class_names": ["water", "road"],
        "scores": {"global": score, "fused": score},
        "confusion": {"global": [[3, 1], [0, 0]], "fused": [[3, 1], [2, 2]]},
    }
    (folder / "scores.json").write_text(json.dumps(content))
    bins = {"ece": 0.1, "bins": [[5, 0.9, 0.8]]}
    calibration = {"fused": {"temperature": 2.0, "before": bins, "after": bins}}
    (tmp_path / "calibration.json").write_text(json.dumps(calibration))
    paths = [Path(path) for path in write_run_pictures(str(tmp_path))]
    assert paths == [
        tmp_path / "curves.png",
        tmp_path / "reliability.png",
        folder / "confusion_global.png",
        folder / "confusion_fused.png",
    ]
    for path in paths:
        assert Image.open(path).size > (200, 200)
    assert not list(tmp_path.rglob("*.part"))


def test_curves_of_whatever_was_recorded(tmp_path: Path) -> None:
    write_lines(tmp_path, {"iteration": 0, "lr": 0.1})
    width, height = Image.open(write_curves(str(tmp_path))).size
    assert width > 2 * height  # one row
    write_lines(tmp_path, {"iteration": 0, "data_time": 0.1})
    assert Path(write_curves(str(tmp_path))).is_file()


def test_confusion_of_an_absent_class(tmp_path: Path) -> None:
    matrix = np.array([[3, 1], [0, 0]])
    path = write_confusion(matrix, ["water", "road"], "title", str(tmp_path / "c.png"))
    pixels = np.array(Image.open(path).convert("RGB")).reshape(-1, 3)
    assert (pixels == 0xDD).all(axis=1).sum() > 1000  # the grey row


NAMES = ["建筑", "forêt | bois", "🌳 дерево", "US$ and $", "fore\u0302t", "l\u200dj"]


@pytest.mark.filterwarnings("error")
def test_names_in_any_letters_are_drawn_without_a_warning(tmp_path: Path) -> None:
    path = write_confusion(np.eye(len(NAMES)), NAMES, "建筑 $a_b$.png", str(tmp_path / "c.png"))
    assert Path(path).is_file()
    figure = new_figure(3, 2)
    figure.legend(handles=[Patch(label=name) for name in NAMES])
    save_figure(figure, str(tmp_path / "legend.png"))


def test_letters_that_no_font_has_become_code_points(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawable("forêt | bois") == "forêt | bois"
    assert drawable("🌳 дерево") == "U+1F333 дерево"
    assert drawable("a建筑b") == "aU+5EFA U+7B51b"
    only_in_stix = "\u20dd"
    assert drawable(only_in_stix) == "U+20DD"
    monkeypatch.setattr(figures, "OTHER_FONTS", ("No Such Font", "STIXGeneral"))
    monkeypatch.setattr(figures, "_families", figures._families.__wrapped__)
    assert drawable(only_in_stix) == only_in_stix


@pytest.mark.filterwarnings("error")
def test_a_font_that_has_the_letters_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "_families", lambda: ("DejaVu Sans", "STIXGeneral"))
    path = write_confusion(np.eye(1), ["a\u20dd"], "a\u20dd", str(tmp_path / "c.png"))
    assert Path(path).is_file()
