"""SegmentationEvaluator: what it counts, refuses, logs, writes and returns."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from co2s.d2 import DatasetEvaluators, comm
from co2s.evaluation import SegmentationEvaluator
from co2s.evaluation.evaluator import main_prediction, predictions
from co2s.evaluation.report import write_scores

Make = Callable[..., Any]

TRUTH_A, TRUTH_B = [[0, 0, 1], [1, 1, 255]], [[2, 2], [0, 1]]
FUSED_A = [[0, 0, 1], [1, 1, 2]]  # right wherever there is a label
GLOBAL_A, LOCAL_A = [[0, 1, 1], [1, 1, 0]], [[0, 0, 1], [1, 0, 0]]


def filled(dataset: str, folder: Path | None, item: Make, output: Make) -> SegmentationEvaluator:
    evaluator = SegmentationEvaluator(dataset, folder and str(folder))
    a = output(FUSED_A, **{"global": GLOBAL_A, "local": LOCAL_A})
    b = output(TRUTH_B, **{"global": TRUTH_B, "local": TRUTH_B})
    evaluator.process([item("a", TRUTH_A), item("b", TRUTH_B)], [a, b])
    return evaluator


def test_scores_of_every_prediction(dataset: str, tmp_path: Path, item: Make, output: Make) -> None:
    results = filled(dataset, tmp_path, item, output).evaluate()
    assert results is not None
    assert list(results) == ["global", "local", "fused", "sem_seg"]
    assert results["sem_seg"] == {"mIoU": results["fused"]["mIoU"]}
    assert results["fused"]["mIoU"] == pytest.approx(100)
    assert results["global"]["OA"] == pytest.approx(100 * 8 / 9)
    # global: one pixel of water taken for road; local: one of road for water
    assert results["global"]["IoU-water"] == pytest.approx(100 * 2 / 3)
    assert results["global"]["IoU-road"] == pytest.approx(100 * 4 / 5)
    assert results["local"]["IoU-water"] == pytest.approx(100 * 3 / 4)
    assert results["local"]["IoU-road"] == pytest.approx(100 * 3 / 4)
    assert set(results["local"]) == {
        "mIoU", "OA", "F1", "kappa", "IoU-water", "IoU-road", "IoU-tree"
    }  # fmt: skip


def test_scores_file(dataset: str, tmp_path: Path, item: Make, output: Make) -> None:
    results = filled(dataset, tmp_path / "new", item, output).evaluate()
    assert results is not None
    content = json.loads((tmp_path / "new" / "scores.json").read_text())
    assert content["dataset"] == dataset
    assert content["images"] == 2
    assert content["class_names"] == ["water", "road", "tree"]
    assert content["confusion"]["global"] == [[2, 1, 0], [0, 4, 0], [0, 0, 2]]
    assert content["scores"]["global"]["mIoU"] == results["global"]["mIoU"]
    assert content["scores"]["global"]["absent"] == []
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"scores.json", "per_image.npz"}


def test_boundaries_are_summed_over_images(
    dataset: str, tmp_path: Path, item: Make, output: Make
) -> None:
    evaluator = SegmentationEvaluator(dataset, str(tmp_path), boundary_tolerance=1)
    label = [[0, 0, 1, 1, 1, 1]]
    two_off = [[0, 0, 0, 0, 1, 1]]
    evaluator.process([item("a", label), item("b", label)], [output(label), output(two_off)])
    results = evaluator.evaluate()
    assert results is not None
    content = json.loads((tmp_path / "scores.json").read_text())
    # each image has one boundary pixel of each class; in "b" it is found again in neither direction
    assert content["boundary"] == {
        "tolerance": 1, "counts": {"prediction": [[2, 1, 2, 1], [2, 1, 2, 1], [0, 0, 0, 0]]}
    }  # fmt: skip
    values = content["scores"]["prediction"]
    assert values["BF1"] == results["prediction"]["BF1"] == pytest.approx(50)
    assert [row["BF1"] for row in values["classes"].values()] == [pytest.approx(50)] * 2 + [None]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text("old")
    arguments: dict[str, Any] = {"dataset": "d", "class_names": [], "images": 1, "main": "fused"}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_scores(
            str(tmp_path), {"fused": {"mIoU": float("nan")}}, {}, absent_as_zero=False, **arguments
        )
    assert (tmp_path / "scores.json").read_text() == "old"


def test_table_in_the_log(
    dataset: str, item: Make, output: Make, caplog: pytest.LogCaptureFixture
) -> None:
    evaluator = SegmentationEvaluator(dataset)
    evaluator.process(
        [item("a", [[0, 1]]), item("b", [[0, 1]])], [output([[0, 1]]), output([[0, 2]])]
    )
    # Loggers below co2s need not propagate to the root once a run has set up its own.
    logger = logging.getLogger("co2s.evaluation.evaluator")
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, logger=logger.name):
            evaluator.evaluate()
    finally:
        logger.removeHandler(caplog.handler)
    assert "2 images" in caplog.text
    for row in (r"\| road +\| +50.00 \|", r"\| tree +\| +- +\|", r"\| mIoU +\| +75.00 \|"):
        assert re.search(row, caplog.text), row
    assert "Without a pixel of truth: tree." in caplog.text


def test_absent_classes_are_no_number_in_the_results(
    dataset: str, item: Make, output: Make
) -> None:
    items = [item("a", [[0, 1]]), item("b", [[0, 1]])]
    for as_zero, expected in ((False, 100), (True, 200 / 3)):
        evaluator = SegmentationEvaluator(dataset, absent_as_zero=as_zero)
        evaluator.process(items, [output([[0, 1]])] * 2)
        results = evaluator.evaluate()
        assert results is not None
        assert results["prediction"]["mIoU"] == pytest.approx(expected)
        assert ("IoU-tree" in results["prediction"]) == as_zero


def test_processes_are_merged(
    dataset: str, item: Make, output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = (SegmentationEvaluator(dataset, boundary_tolerance=1) for _ in range(2))
    idle = SegmentationEvaluator(dataset)  # a process without an image
    here.process([item("a", [[0, 0]])], [output([[0, 1]])])
    there.process([item("b", [[1, 1]])], [output([[1, 1]])])
    parts = [(e._image_ids, e._matrices, e._main, e._cells, e._boundaries) for e in (there, idle)]
    monkeypatch.setattr(comm, "gather", lambda own: [own, *parts])
    results = here.evaluate()
    assert results is not None
    assert results["prediction"]["OA"] == pytest.approx(75)
    assert "BF1" not in results["prediction"]  # no class has a boundary


def test_only_the_main_process_reports(
    dataset: str, tmp_path: Path, item: Make, output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comm, "gather", lambda own: [])
    monkeypatch.setattr(comm, "is_main_process", lambda: False)
    assert filled(dataset, tmp_path, item, output).evaluate() is None
    assert list(tmp_path.iterdir()) == []


def test_reset_forgets(dataset: str, item: Make, output: Make) -> None:
    evaluator = SegmentationEvaluator(dataset)
    items = [item("a", [[0, 1]]), item("b", [[0, 1]])]
    evaluator.process(items, [output([[1, 0]])] * 2)
    evaluator.reset()
    evaluator.process(items, [output([[0, 1]])] * 2)
    results = DatasetEvaluators([evaluator]).evaluate()
    assert results["prediction"]["OA"] == 100


def test_an_image_seen_twice(dataset: str, item: Make, output: Make) -> None:
    evaluator = SegmentationEvaluator(dataset)
    for image_id in "aba":
        evaluator.process([item(image_id, [[0]])], [output([[0]])])
    with pytest.raises(ValueError, match=r"1 images were scored more than once, such as a\."):
        evaluator.evaluate()


def test_an_image_never_seen(dataset: str, item: Make, output: Make) -> None:
    evaluator = SegmentationEvaluator(dataset)
    evaluator.process([item("a", [[0]])], [output([[0]])])
    with pytest.raises(ValueError, match="has 2 images, 1 were scored"):
        evaluator.evaluate()


def test_an_image_without_label(dataset: str, item: Make, output: Make) -> None:
    unlabeled = item("a", [[0]])
    del unlabeled["sem_seg"]
    with pytest.raises(ValueError, match=r"images/a\.png has no label"):
        SegmentationEvaluator(dataset).process([unlabeled], [output([[0]])])


def test_a_prediction_of_another_size(dataset: str, item: Make, output: Make) -> None:
    with pytest.raises(ValueError, match=r"images/a\.png, prediction prediction: Truth has shape"):
        SegmentationEvaluator(dataset).process([item("a", [[0]])], [output([[0, 1]])])


def test_a_prediction_of_other_classes(dataset: str, item: Make, output: Make) -> None:
    short = {"sem_seg": output([[0]])["sem_seg"][:2]}
    with pytest.raises(ValueError, match="prediction has 2 classes"):
        SegmentationEvaluator(dataset).process([item("a", [[0]])], [short])


def test_not_one_labelled_pixel(dataset: str, item: Make, output: Make) -> None:
    evaluator = SegmentationEvaluator(dataset)
    evaluator.process([item(i, [[255]]) for i in "ab"], [output([[0]])] * 2)
    with pytest.raises(ValueError, match="Not one labelled pixel"):
        evaluator.evaluate()


def test_one_student_is_not_called_fused(dataset: str, item: Make, output: Make) -> None:
    alone = output(FUSED_A, local=LOCAL_A)
    alone["sem_seg"] = alone["sem_seg_local"]
    assert [*predictions(alone)] == ["local"] == [main_prediction(alone)]
    assert [*predictions(output(FUSED_A))] == ["prediction"]
    two = output(FUSED_A, **{"global": GLOBAL_A, "local": LOCAL_A})
    assert [*predictions(two)] == ["global", "local", "fused"]
    two["sem_seg"] = two["sem_seg_local"]  # MODEL.FUSION "local"
    assert main_prediction(two) == "local" and "fused" not in predictions(two)
    evaluator = SegmentationEvaluator(dataset)
    evaluator.process([item("a", TRUTH_A), item("b", TRUTH_A)], [alone, alone])
    results = evaluator.evaluate()
    assert results is not None
    assert [*results] == ["local", "sem_seg"]
    assert results["sem_seg"]["mIoU"] == results["local"]["mIoU"]
