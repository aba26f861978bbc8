"""The quick form: what it looks at, what stops training, what is only said."""

import logging
import re

import cv2
import numpy as np
import pytest

from co2s.data import catalog, get_records
from co2s.data.spec.reader import load_spec
from co2s.preparation.check import check_before_training, measure, quick_check, run

from ..data.conftest import write_pair
from .check_toy import SPLITS, classes, labels, register_toy, rewrite, write_toy

pytestmark = pytest.mark.usefixtures("clean_catalog")

NAMES = ["toy_1_1_labeled", "toy_1_1_unlabeled", "toy_val"]
HALF = ["toy_1_2_labeled", "toy_1_2_unlabeled", "toy_val"]


@pytest.fixture
def root(tmp_path):
    return write_toy(tmp_path / "toy", train=4, val=1)


@pytest.fixture
def seen(monkeypatch):
    """The pairs that are measured."""
    pairs = []

    def watched(pair, spec, quick):
        pairs.append(pair)
        return measure.measure(pair, spec, quick)

    monkeypatch.setattr(run, "measure", watched)
    return pairs


def test_a_clean_set_has_no_finding_and_the_full_check_is_named(root, caplog):
    register_toy(root)
    assert quick_check(NAMES) == []
    with caplog.at_level(logging.INFO):
        check_before_training(NAMES, str(root))
    assert len(caplog.records) == 1
    command = f"python tools/check_dataset.py --dataset toy --root '{root}'"
    assert caplog.text.rstrip().endswith(f"The full check: {command}")


def test_the_command_names_the_yaml_file(root, caplog, tmp_path):
    register_toy(root)
    path = tmp_path / "my.yaml"
    path.write_text(
        "{name: toy, root: toy, labels: {encoding: index}, "
        "classes: [{name: a, color: [0, 0, 0], concepts: [a]}], splits: {folder: lists}}"
    )
    assert load_spec(path).name == "toy"
    with caplog.at_level(logging.INFO):
        check_before_training(NAMES, spec_files=[str(path)])
    assert f"--dataset {path}" in caplog.text


def test_samples_are_spread_over_each_list(tmp_path, seen):
    root = tmp_path / "toy"
    for number in range(12):
        write_pair(root / "train", f"{number:02d}", number)
    write_pair(root / "val", "100", 100)
    register_toy(root)
    quick_check(NAMES, samples=3)
    looked_at = sorted(pair.image[-6:-4] for pair in seen)
    assert looked_at == ["00", "00", "06", "11"]


def test_time_runs_out(root, seen):
    register_toy(root)
    quick_check(NAMES, seconds=-1)
    assert len(seen) == 1


def test_labels_of_unlabelled_records_are_not_opened_and_images_not_decoded(root, monkeypatch):
    splits = {**SPLITS, "fractions": ["1_2"]}
    register_toy(root, splits=splits)
    opened = []
    read = measure.try_header
    monkeypatch.setattr(measure, "try_header", lambda p, *r: opened.append(p) or read(p, *r))
    monkeypatch.setattr(measure, "decoded", None)
    assert quick_check(HALF) == []
    assert sum("/images/" in path for path in opened) == 5
    assert sum("/labels/" in path for path in opened) == 3


def test_errors_stop_training_with_the_fix_and_the_full_check(root):
    rewrite(labels(root), lambda mask: mask * 255)
    register_toy(root)
    with pytest.raises(ValueError, match=r"map: \{0: 0, 255: 1\}") as caught:
        check_before_training(NAMES)
    message = str(caught.value)
    assert message.startswith("The data of this run have 1 error (a quick look")
    assert message.endswith("The full check: python tools/check_dataset.py --dataset toy")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: mask + 7, "values that stand for none of the 2 classes"),
        (lambda mask: mask[1:], "1 mask differ in size"),
        (lambda mask: np.dstack([mask, mask, mask + 9]), "encoding: color"),
    ],
)
def test_every_error_in_a_mask_stops(root, change, words):
    rewrite([root / "train/labels/02.png"], change)
    register_toy(root)
    with pytest.raises(ValueError, match=re.escape(words)):
        check_before_training(NAMES)


def test_truncated_masks_and_damaged_headers_stop(root):
    path = root / "train/labels/02.png"
    path.write_bytes(path.read_bytes()[:-60])
    (root / "train/images/01.png").write_bytes(b"nonsense")
    register_toy(root)
    with pytest.raises(ValueError, match="have 2 errors") as caught:
        check_before_training(NAMES)
    assert "02.png cannot be read as a mask" in str(caught.value)
    assert "01.png" in str(caught.value)


def test_warnings_are_logged_and_training_goes_on(root, caplog):
    bgra = cv2.imread(str(root / "train/images/00.png"))
    cv2.imwrite(str(root / "train/images/00.png"), cv2.cvtColor(bgra, cv2.COLOR_BGR2GRAY))
    register_toy(root)
    check_before_training(NAMES)
    assert "Data: Images differ in bands: 3 (4 images), 1 (1 image)." in caplog.text
    assert {record.levelname for record in caplog.records} >= {"WARNING"}


def test_labels_that_seem_to_start_at_1_are_warned_of(root, caplog):
    rewrite(labels(root), lambda mask: mask + 1)
    register_toy(root, classes=classes(3))
    check_before_training(NAMES)
    assert "'class0' does not occur in 5 masks, all others do." in caplog.text
    assert "`offset: -1`" in caplog.text


def test_a_list_that_validates_and_tests_does_not_overlap_with_itself(root):
    register_toy(root)
    assert quick_check([*NAMES, "toy_val"]) == []


def test_each_list_is_listed_once_and_the_root_stays_as_it_is(root, monkeypatch):
    register_toy(root, splits={**SPLITS, "fractions": ["1_2"]})
    listed = []
    files = catalog.DatasetFiles

    class Watched(files):
        def __init__(self, spec, root):
            listed.append(root)
            super().__init__(spec, root)

    monkeypatch.setattr(catalog, "DatasetFiles", Watched)
    for name in HALF:
        get_records(name)
    check_before_training(HALF, str(root))
    assert listed == [root] * len(HALF)


def test_the_check_writes_nothing(root):
    register_toy(root)
    before = sorted(root.rglob("*"))
    check_before_training(NAMES)
    assert sorted(root.rglob("*")) == before
