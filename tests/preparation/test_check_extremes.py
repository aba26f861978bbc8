"""The dataset check where there is nothing to learn from or to score, and on names that mislead."""

import logging
import unicodedata

import cv2
import numpy as np
import pytest

from co2s.preparation.check import check_before_training, quick_check
from co2s.preparation.check.names import appearance, look_alikes

from ..data.conftest import write_pair
from .check_toy import SPLITS, checked, classes, labels, register_toy, rewrite, write_toy

NAMES = ["toy_1_1_labeled", "toy_1_1_unlabeled", "toy_val"]

pytestmark = pytest.mark.usefixtures("clean_catalog")


@pytest.fixture
def root(tmp_path):
    return write_toy(tmp_path / "toy")


def ignored(mask):
    return mask * 0 + 255


def test_a_link_that_leads_nowhere_is_named(root):
    (root / "val/images/100.png").unlink()
    (root / "val/images/100.png").symlink_to(root / "gone.png")
    _, found = checked(root)
    assert "'100.png' is a link that leads nowhere" in found["missing"].message


def test_names_that_differ_by_capital_letters_only(root):
    (root / "train/images/00.png").rename(root / "train/images/00.PNG")
    _, found = checked(root)
    assert found["capital letters"].count == 1
    assert "as 'train/images/00.PNG'" in found["capital letters"].message
    for path in root.glob("*/images/*.png"):
        path.rename(path.with_suffix(".PNG"))
    register_toy(root)
    with pytest.raises(ValueError, match=r"No list .* has a sample(?s:.*)6 files would fit"):
        quick_check(NAMES)


@pytest.mark.parametrize(
    ("folder", "name", "words"),
    [("train", "toy_1_1_labeled", "nothing to learn"), ("val", "toy_val", "nothing to score")],
)
def test_a_list_without_a_labelled_pixel_is_an_error(root, folder, name, words):
    rewrite(sorted((root / folder / "labels").iterdir()), ignored)
    _, found = checked(root)
    finding = found["nothing labelled"]
    assert finding.severity == "error" and words in finding.fix
    assert finding.message.startswith(f"'{name}' has no labelled pixel")
    with pytest.raises(ValueError, match=rf"'{name}' has no labelled pixel.*{words}"):
        check_before_training(NAMES)


def test_no_list_at_all_has_a_labelled_pixel(root):
    rewrite(labels(root), ignored)
    register_toy(root)
    kinds = [finding.kind for finding in quick_check(NAMES)]
    assert kinds.count("nothing labelled") == 2


def test_one_labelled_sample_of_a_list_is_enough(root):
    rewrite(labels(root)[:3], ignored)
    _, found = checked(root)
    assert set(found) == {"ignored"} and quick_check(NAMES) == []


def test_a_list_of_which_some_samples_were_looked_at_is_only_suspected(root, caplog):
    for number in range(4, 12):
        write_pair(root / "train", f"{number:02d}", number)
    rewrite([p for p in labels(root) if p.name != "06.png" and p.parts[-3] == "train"], ignored)
    register_toy(root)
    (finding,) = quick_check(NAMES, samples=4)
    assert finding.severity == "warning"
    assert "every one looked at, in 4 samples, is ignored" in finding.message
    with caplog.at_level(logging.WARNING):
        check_before_training(NAMES)  # looks at all twelve, and finds the labelled one
    assert "no labelled pixel" not in caplog.text


def test_a_single_class_is_always_right(root):
    rewrite(labels(root), lambda mask: 1 - mask)
    said = {"encoding": "index", "map": {1: 0}, "ignore": [0]}
    _, found = checked(root, classes=classes(1), labels=said)
    finding = found["one class"]
    assert finding.severity == "warning" and "'class0' is the only class" in finding.message
    assert "`labels.map`" in finding.fix
    assert [f.kind for f in quick_check(NAMES)] == ["one class"]


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("utf-32", "UTF-32")]
)
def test_split_lists_with_a_byte_order_mark_are_named(root, encoding, said):
    for name, line in (
        ("1_1/labeled", "train/images/00.png train/labels/00.png"),
        ("1_1/unlabeled", "train/images/01.png"),
        ("val", "val/images/100.png val/labels/100.png"),
    ):
        path = root / "lists" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{line}\r\n".encode(encoding if name == "val" else "utf-8"))
    report, found = checked(root, splits={"folder": "lists", "fractions": ["1_1"]}, layout=None)
    assert [entry.samples for entry in report.lists] == [1, 1, 1]
    assert f"1 split list with a byte order mark ({said})" in found["byte order mark"].message
    assert found["byte order mark"].files[0].endswith("lists/val.txt")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("road", "Road"),
        ("road", "road "),
        ("road", "road\u200b"),
        ("r\u043ead", "road"),
        ("for\u00eat", "fore\u0302t"),
        ("Earth's", "Earth\u2019s"),
        ("non\u2010urban", "non-urban"),
        ("bare soil", "bare\u00a0soil"),
    ],
)
def test_classes_that_look_alike_are_shown_so_that_one_sees_how(root, one, other):
    names = [{**entry, "name": n} for entry, n in zip(classes(2), (one, other), strict=True)]
    register_toy(root, classes=names)
    (finding,) = (f for f in quick_check(NAMES) if f.kind == "alike classes")
    assert ascii(one) in finding.message and ascii(other) in finding.message
    assert finding.message.isascii() and finding.severity == "warning"


def test_classes_with_characters_that_do_not_show(root):
    names = [{**entry, "name": n} for entry, n in zip(classes(2), ("a ", "b\u200b"), strict=True)]
    register_toy(root, classes=names)
    (finding,) = quick_check(NAMES)
    assert finding.severity == "info"
    assert finding.message.endswith(r": 'a ', 'b\u200b'.")


def test_other_names_do_not_look_alike():
    names = ["road", "roads", "a_b", "a b", "建筑", "建築", "1", "l", "1 2", "12"]
    assert not list(look_alikes(names))
    assert appearance("  Bare   Soil ") == "bare soil"


def test_a_missing_file_whose_name_looks_like_one_that_is_there(root):
    composed = unicodedata.normalize("NFC", "fore\u0302t.png")
    path = root / "train/labels" / unicodedata.normalize("NFD", composed)
    (root / "train/labels/00.png").rename(path)
    (root / "train/images/00.png").rename(root / "train/images" / composed)
    splits = {"folder": "lists", "fractions": ["1_1"]}
    for name, line in (
        ("1_1/labeled", f"train/images/{composed} train/labels/{composed}"),
        ("1_1/unlabeled", "train/images/01.png"),
        ("val", "val/images/100.png val/labels/100.png"),
    ):
        (root / "lists/1_1").mkdir(parents=True, exist_ok=True)
        (root / f"lists/{name}.txt").write_text(f"{line}\n", encoding="utf-8")
    _, found = checked(root, splits=splits, layout=None)
    message = found["missing"].message
    assert r"'for\xeat.png' is listed; there is 'fore\u0302t.png', which looks alike" in message


def test_files_that_look_alike(root):
    image = cv2.imread(str(root / "train/images/00.png"))
    cv2.imwrite(str(root / "train/images/a.png"), image + 1)
    cv2.imwrite(str(root / "train/images/A.png"), image + 2)
    for name in "aA":
        cv2.imwrite(str(root / f"train/labels/{name}.png"), np.zeros((40, 48), np.uint8))
    if len(list((root / "train/images").iterdir())) < 6:
        pytest.skip("this disk takes them for one file")
    _, found = checked(root, splits=SPLITS)
    assert "'A.png' and 'a.png'" in found["alike files"].message
    assert found["alike files"].severity == "info"
