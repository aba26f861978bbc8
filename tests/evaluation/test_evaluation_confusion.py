"""Scores against hand-computed numbers, plain loops and identities."""

import numpy as np
import pytest

from co2s.evaluation import confusion_matrix, scores
from co2s.evaluation.confusion import cohens_kappa

NAMES = ["water", "road", "tree"]
# Rows are truth. Twenty pixels; worked out by hand below.
MATRIX = np.array([[6, 2, 0], [1, 7, 2], [0, 1, 1]])


def by_loops(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != 255:
            matrix[t, p] += 1
    return matrix


def test_confusion_matrix_by_hand() -> None:
    truth = np.array([[0, 0, 1], [2, 255, 1]])
    prediction = np.array([[0, 1, 1], [0, 2, 1]])
    matrix = confusion_matrix(truth, prediction, 3)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_confusion_matrix_equals_plain_loops() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, 3, 4, 255], size=(23, 31)).astype(np.uint8)
    prediction = rng.integers(0, 5, size=(23, 31))
    expected = by_loops(truth.astype(int), prediction, 5)
    assert (confusion_matrix(truth, prediction, 5) == expected).all()


def test_uint8_labels_do_not_overflow() -> None:
    # 20 * 20 classes exceed a uint8 product
    label = np.full((2, 2), 19, dtype=np.uint8)
    assert confusion_matrix(label, label, 20)[19, 19] == 4


def test_another_ignore_label() -> None:
    truth = np.array([[0, 9]])
    assert confusion_matrix(truth, np.array([[0, 1]]), 2, ignore=9).tolist() == [[1, 0], [0, 0]]


def test_matrix_of_the_whole_is_the_sum_of_its_parts() -> None:
    rng = np.random.default_rng(1)
    truth, prediction = rng.integers(0, 3, (2, 8, 8))
    parts = [confusion_matrix(truth[:, s], prediction[:, s], 3) for s in (slice(5), slice(5, 8))]
    assert (confusion_matrix(truth, prediction, 3) == sum(parts)).all()


def test_scores_by_hand() -> None:
    result = scores(MATRIX, NAMES)
    iou = [6 / 9, 7 / 13, 1 / 4]  # right / (true + predicted - right)
    f1 = [12 / 15, 14 / 20, 2 / 5]
    assert [c["IoU"] for c in result["classes"].values()] == pytest.approx([100 * x for x in iou])
    assert [c["F1"] for c in result["classes"].values()] == pytest.approx([100 * x for x in f1])
    assert result["mIoU"] == pytest.approx(100 * sum(iou) / 3)
    assert result["F1"] == pytest.approx(100 * sum(f1) / 3)
    assert result["OA"] == pytest.approx(70)
    # by chance: (8*7 + 10*10 + 2*3) / 400 = 0.405
    assert result["kappa"] == pytest.approx(100 * (0.7 - 0.405) / (1 - 0.405))
    assert result["classes"]["road"]["precision"] == pytest.approx(70)
    assert result["classes"]["water"]["precision"] == pytest.approx(100 * 6 / 7)
    assert result["classes"]["water"]["recall"] == pytest.approx(75)
    assert [c["pixels"] for c in result["classes"].values()] == [8, 10, 2]
    assert result["absent"] == []


def test_a_perfect_prediction_scores_100_everywhere() -> None:
    result = scores(np.diag([5, 1, 3]), NAMES)
    assert [result[key] for key in ("mIoU", "OA", "F1", "kappa")] == pytest.approx([100] * 4)


def test_a_constant_prediction_has_a_kappa_of_zero() -> None:
    assert cohens_kappa(np.array([[3, 0], [5, 0]])) == pytest.approx(0)


def test_iou_follows_from_f1() -> None:
    for row in scores(MATRIX, NAMES)["classes"].values():
        f1 = row["F1"] / 100
        assert row["IoU"] / 100 == pytest.approx(f1 / (2 - f1))
        assert row["F1"] == pytest.approx(
            2 * row["precision"] * row["recall"] / (row["precision"] + row["recall"])
        )


def test_scores_do_not_depend_on_the_order_of_classes() -> None:
    order = [2, 0, 1]
    shuffled = scores(MATRIX[np.ix_(order, order)], [NAMES[i] for i in order])
    result = scores(MATRIX, NAMES)
    for key in ("mIoU", "OA", "F1", "kappa"):
        assert shuffled[key] == pytest.approx(result[key])
    assert shuffled["classes"] == result["classes"]


def test_a_class_without_truth_is_left_out_and_named() -> None:
    matrix = np.array([[8, 0, 2], [0, 10, 0], [0, 0, 0]])  # the tree is only predicted
    result = scores(matrix, NAMES)
    assert result["absent"] == ["tree"]
    assert result["classes"]["tree"]["IoU"] is None
    assert result["mIoU"] == pytest.approx(100 * (0.8 + 1) / 2)
    assert result["F1"] == pytest.approx(100 * (16 / 18 + 1) / 2)


def test_absent_as_zero_is_the_release() -> None:
    result = scores(np.diag([8, 10, 0]), NAMES, absent_as_zero=True)
    assert result["absent"] == ["tree"]
    assert result["classes"]["tree"]["IoU"] == 0
    assert result["mIoU"] == pytest.approx(200 / 3)


def test_a_class_never_predicted_counts_as_zero() -> None:
    result = scores(np.array([[4, 0], [4, 0]]), ["water", "road"])
    assert result["classes"]["road"] == {
        "IoU": 0, "F1": 0, "precision": 0, "recall": 0, "pixels": 4
    }  # fmt: skip
    assert result["mIoU"] == pytest.approx(25)


def test_kappa_of_a_single_class_is_undefined() -> None:
    assert scores(np.diag([4, 0, 0]), NAMES)["kappa"] is None


@pytest.mark.parametrize("which", ["truth", "prediction"])
def test_labels_outside_the_classes_are_named(which: str) -> None:
    maps = {"truth": np.zeros((2, 2), int), "prediction": np.zeros((2, 2), int)}
    maps[which][0] = [7, 12]
    with pytest.raises(ValueError, match=rf"{which} holds the values 7, 12; with 3 classes 0\.\.2"):
        confusion_matrix(maps["truth"], maps["prediction"], 3)


def test_negative_labels_are_named() -> None:
    with pytest.raises(ValueError, match="truth holds the values -1"):
        confusion_matrix(np.array([[-1]]), np.array([[0]]), 3)


def test_maps_of_different_size() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\) and prediction \(2, 3\)"):
        confusion_matrix(np.zeros((2, 2)), np.zeros((2, 3)), 3)


def test_not_one_labelled_pixel() -> None:
    with pytest.raises(ValueError, match="Not one labelled pixel"):
        scores(np.zeros((3, 3), int), NAMES)


def test_names_that_do_not_fit_the_matrix() -> None:
    with pytest.raises(ValueError, match=r"2 class names need a matrix \(2, 2\); it is \(3, 3\)"):
        scores(MATRIX, NAMES[:2])
