"""Stored boxes: what they say of a view, and that they are of its image."""

import json

import numpy as np
import pytest
import torch

from co2s.d2 import comm
from co2s.data import (
    LabeledMapper,
    UnlabeledMapper,
    build_unlabeled_loader,
    get_records,
    get_spec,
)
from co2s.data.grounding import (
    Box,
    Grounding,
    StoredBoxes,
    class_scores,
    grounding_path,
    load_grounding,
)
from co2s.files import file_digest
from co2s.preparation.grounding import FromLabels
from co2s.structures import Views

from .grounded import box, store, stored

CLASSES = ["land", "water"]
NAME = "toy_1_2_unlabeled"
VIEWS = Views(strong=2, cutmix=True)


def rng(seed=0):
    return np.random.default_rng(seed)


def grounding(*boxes, size=(6, 8), window=None):
    return Grounding("toy", "x", "", size, boxes, window)


@pytest.fixture
def purifies(toy_cfg, tmp_path):
    toy_cfg.MODEL.PURIFIER.NAME, toy_cfg.MODEL.PURIFIER.BOXES = "VLMPurifier", str(tmp_path / "b")
    return tmp_path / "b"


def from_labels(record):
    """The whole truth of a record, as boxes with masks."""
    spec = get_spec(record["dataset"])
    named = {**record, "sem_seg_file_name": record["file_name"].replace("images", "labels")}
    finder = FromLabels({}, {spec.name: spec}, least_area=1, score=1.0, outlines=True)
    return finder._found(named)[0]


def test_a_pixel_has_the_largest_score_of_the_boxes_on_its_centre():
    boxes = box("water", 1, 2, 4, 5, score=0.4), box("water", 3, 1, 7.4, 3.6, score=0.8)
    maps = class_scores(grounding(*boxes), CLASSES, (0, 0, 6, 8))
    expected = np.zeros((6, 8), np.uint8)
    expected[2:5, 1:4] = 102
    expected[1:4, 3:7] = 204
    assert maps.keys() == {1}
    assert (maps[1] == expected).all()


def test_boxes_are_cut_by_the_window():
    boxes = box("water", 1, 2, 4, 5), box("land", 0, 0, 2, 2)
    maps = class_scores(grounding(*boxes), CLASSES, (3, 2, 3, 4))  # rows 3-5, columns 2-5
    assert maps.keys() == {1}, "the other one lies beside it"
    assert (maps[1] == 255 * np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])).all()


@pytest.mark.parametrize("window", [None, (2, 1, 4, 5)])
def test_a_mask_says_which_pixels_of_its_box_are_meant(window):
    triangle = [[0, 0, 5, 0, 0, 4]]
    found = grounding(box("land", 1, 2, 5, 6, mask=triangle), size=(6, 8), window=window)
    whole = class_scores(found, CLASSES, (0, 0, 6, 8) if window is None else window)[0]
    y = 2 if window is None else 0
    assert 0 < (whole > 0).sum() < 4 * 4
    assert not (whole > 0)[y + 4 :].any() and not (whole > 0)[:y].any()
    if window is None:  # a window of the image shows its part of the mask
        part = class_scores(found, CLASSES, (1, 0, 4, 4))[0]
        assert (part == whole[1:5, 0:4]).all()


def test_what_cannot_be_drawn_is_named():
    runs = {"size": [2, 2], "counts": [4]}
    with pytest.raises(ValueError, match=r"mask of a box of 'land'.*RLE has the size"):
        class_scores(grounding(box("land", 0, 0, 2, 2, mask=runs)), CLASSES, (0, 0, 6, 8))
    with pytest.raises(ValueError, match="box of 'snow', and the classes are land, water"):
        class_scores(grounding(box("snow", 0, 0, 2, 2)), CLASSES, (0, 0, 6, 8))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"class": "land", "box": [3, 0, 1, 2]}, "x0 < x1"),
        ({"class": "land", "box": [0, 0, 1]}, "x0 < x1"),
        ({"class": "land", "box": [0, 0, 1, float("inf")]}, "x0 < x1"),
        ({"class": "land", "box": [0, 0, 1, "a"]}, "is no box"),
        ({"class": "land"}, "is no box"),
        ({"class": "land", "box": [0, 0, 1, 2], "score": 1.5}, "score"),
        ({"class": 3, "box": [0, 0, 1, 2]}, "`class` by name"),
    ],
)
def test_a_box_that_is_none_is_refused(content, words):
    with pytest.raises(ValueError, match=words):
        Box.from_dict(content)


def test_a_file_is_read_back_and_a_damaged_one_is_named(toy, tmp_path):
    toy()
    record = get_records(NAME)[0]
    boxes = [box("water", 1, 2, 30.5, 40, score=0.7, mask=[[0, 0, 9, 0, 0, 9]])]
    path = store(tmp_path, record, boxes, dropped={"unknown class": 2})
    found = load_grounding(path)
    assert found.boxes == tuple(boxes) and found.dropped == {"unknown class": 2}
    assert found.to_dict() == json.loads(path.read_text())
    for text, words in (
        ("[", "holds no boxes"),
        ("{}", "lacks something"),
        ('{"format": 9}', "format is 9"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words) as error:
            load_grounding(path)
        assert str(path) in str(error.value)


def test_a_view_s_grounding_is_that_of_its_very_pixels(toy, toy_cfg, purifies):
    toy()
    toy_cfg.INPUT.ROTATE90 = True
    stored(purifies, NAME, from_labels)
    seen, padded = set(), 0
    unlabeled = UnlabeledMapper(toy_cfg, [NAME], Views())
    labeled = LabeledMapper(toy_cfg, ["toy_1_2_labeled"])
    for record in get_records(NAME):
        named = {**record, "sem_seg_file_name": record["file_name"].replace("images", "labels")}
        for seed in range(8):  # the first that both mappers draw is the geometry
            maps = unlabeled(record, record, rng(seed))["grounding"]
            truth = labeled(named, rng(seed))["sem_seg"]
            assert maps.shape == (2, 32, 32) and maps.dtype == torch.uint8
            found = torch.where(maps.amax(0) > 0, maps.argmax(0), 255)
            assert torch.equal(found, truth.long())
            seen |= {*truth.unique().tolist()}
            padded += (truth == 255).any().item()
    assert seen == {0, 1, 255} and padded, "crops with padding were among them"


def test_a_partner_brings_the_map_of_its_own_image(toy, toy_cfg, purifies):
    toy()
    toy_cfg.INPUT.RESIZE = "none"
    stored(purifies, NAME, from_labels)
    mapper = UnlabeledMapper(toy_cfg, [NAME], VIEWS)
    one, two, *_ = get_records(NAME)
    for seed in range(6):
        item = mapper(one, two, rng(seed))
        for seen in (item, item["partner"]):  # red is 50 on land, 150 on water
            assert torch.equal(seen["grounding"][1] > 0, seen["image"][0] > 100)
        other = item["cutmix"].any().item()
        assert other != torch.equal(item["grounding"], item["partner"]["grounding"])


def test_without_a_purifier_items_have_no_grounding(toy, toy_cfg, purifies):
    toy()
    toy_cfg.MODEL.PURIFIER.NAME = ""
    record = get_records(NAME)[0]
    item = UnlabeledMapper(toy_cfg, [NAME], VIEWS)(record, record, rng())
    assert "grounding" not in item and "grounding" not in item["partner"]


def test_windows_have_files_of_their_own_or_that_of_their_image(toy, toy_cfg, purifies):
    layout = {"images": "{set}/images/{name}.png", "labels": "{set}/labels/{name}.png"}
    toy(shape=(32, 64), layout={**layout, "window": 32})
    toy_cfg.INPUT.RESIZE = "none"
    toy_cfg.INPUT.FLIP = 0.0
    right = next(r for r in get_records(NAME) if r["window"][1] == 32)
    boxes = StoredBoxes(purifies, CLASSES)
    image = {k: v for k, v in right.items() if k != "window"}
    image["image_id"] = right["image_id"].rpartition("@")[0]
    path = store(purifies, image, [box("water", 30, 4, 40, 8)])
    (number, found), *more = boxes.scores(right, (32, 32)).items()
    assert (number, more) == (1, [])
    assert found.sum() == 255 * 4 * 8 and (found[4:8, :8] == 255).all()
    own = store(purifies, right, [box("land", 60, 0, 64, 1)])
    assert boxes.path(right) == own != path
    assert [*boxes.scores(right, (32, 32))] == [0]
    item = UnlabeledMapper(toy_cfg, [NAME], Views())(right, right, rng())
    assert item["grounding"][0].nonzero().tolist() == [[0, x] for x in range(28, 32)]


def test_names_of_tiles_in_two_folders_do_not_meet(tmp_path):
    names = ["a/images/1.png", "b/images/1.png", "../a/images/1.png", "/a/images/1.png"]
    paths = {grounding_path(tmp_path, "toy", name) for name in names}
    assert len(paths) == 3  # an absolute path is the folder's
    assert all(path.is_relative_to(tmp_path / "toy") and ".." not in path.parts for path in paths)
    assert grounding_path(tmp_path, "t", "a/x.tif@0_32").name == "x.tif@0_32.json"


def land(record):
    return [box("land", 0, 0, 4, 4)]


def test_the_start_tells_what_there_is(toy, toy_cfg, purifies, log):
    toy()
    stored(purifies, NAME, land)
    build_unlabeled_loader(toy_cfg, VIEWS)
    assert "Boxes of 3 images" in log.text and "land 3, water 0" in log.text
    assert "upper bound" not in log.text
    stored(purifies, NAME, land, source={"model": "labels"})
    build_unlabeled_loader(toy_cfg, VIEWS)
    assert "made from the labels" in log.text and "upper bound" in log.text


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path, record: path.unlink(), "has no boxes: .* is missing"),
        (lambda path, record: store(path.parents[3], record, [], sha256="0"), "SHA-256 differs"),
        (lambda path, record: store(path.parents[3], record, [], size=(41, 48)), "41 x 48 pixels"),
        (lambda path, record: store(path.parents[3], record, [], window=(0, 0, 4, 4)), "window"),
        (
            lambda path, record: store(path.parents[3], record, [box("snow", 0, 0, 4, 4)]),
            "box of 'snow'",
        ),
        (lambda path, record: path.write_text("{"), "holds no boxes"),
    ],
)
def test_boxes_of_another_image_stop_the_start(toy, toy_cfg, purifies, spoil, words):
    toy()
    stored(purifies, NAME, land)
    record = get_records(NAME)[1]
    spoil(grounding_path(purifies, "toy", record["image_id"]), record)
    with pytest.raises(ValueError, match=f"(?s)MODEL.PURIFIER.BOXES.*ground_classes.*{words}"):
        build_unlabeled_loader(toy_cfg, VIEWS)


def test_swapped_files_stop_the_start(toy, toy_cfg, purifies):
    toy()
    stored(purifies, NAME, land)
    one, two = (grounding_path(purifies, "toy", r["image_id"]) for r in get_records(NAME)[:2])
    one_text, two_text = one.read_text(), two.read_text()
    one.write_text(two_text), two.write_text(one_text)
    with pytest.raises(ValueError, match="2 of 3"):
        build_unlabeled_loader(toy_cfg, VIEWS)


def test_two_processes_share_the_reading_out_and_hear_of_all_faults(toy, purifies, monkeypatch):
    toy()
    stored(purifies, NAME, land)
    records, boxes, read, parts = get_records(NAME), StoredBoxes(purifies, CLASSES), [], []
    specs = {"toy": get_spec(NAME)}
    grounding_path(purifies, "toy", records[1]["image_id"]).unlink()
    digest = lambda path: read.append(path) or file_digest(path)  # noqa: E731
    monkeypatch.setattr("co2s.data.grounding.store.file_digest", digest)
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    monkeypatch.setattr(comm, "all_gather", lambda part: parts.append(part) or [*parts])
    monkeypatch.setattr(comm, "get_rank", lambda: 0)
    boxes.check(records, specs)
    assert read == [records[0]["file_name"], records[2]["file_name"]]
    monkeypatch.setattr(comm, "get_rank", lambda: 1)
    with pytest.raises(ValueError, match=r"(?s)1 of 3 unlabelled .* is missing"):
        boxes.check(records, specs)
    assert read[2:] == [records[1]["file_name"]]
