"""Grounding: answers of every kind, what is stored of them, and going on after a cut."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from co2s.data import get_records, get_spec, register_dataset
from co2s.data.grounding import StoredBoxes, class_scores, grounding_path, load_grounding
from co2s.data.reading.io import read_image
from co2s.data.spec.reader import spec_from_dict
from co2s.preparation.grounding import FromLabels, Given, ground
from co2s.preparation.grounding.answers import Frame, known_names, read_boxes
from co2s.preparation.grounding.prompts import PROMPT, check_prompt, question

from ..data.conftest import toy_content, write_pair
from ..data.grounded import box

NAME = "toy_1_2_unlabeled"
CLASSES = [("building", ("house", "roof")), ("bare_soil", ("sand",)), ("water", ("lake", "sand"))]
NAMES = known_names(CLASSES)
SAME = Frame((100, 200), (100, 200))


def read(answer, asked="building", frame=SAME):
    boxes, dropped = read_boxes(answer, asked, NAMES, frame, 0.95)
    return [(*b.corners, b.score) for b in boxes], dict(dropped)


def entry(*corners, label="building", **more):
    return json.dumps({"bbox_2d": [*corners], "label": label, **more})


ONE = (1.0, 2.0, 30.0, 40.0, 0.95)


@pytest.mark.parametrize(
    "answer",
    [
        f"[{entry(1, 2, 30, 40)}]",
        f"Sure! I see:\n```json\n[\n  {entry(1, 2, 30, 40)}\n]\n```\nAnything else {{?",
        entry(1, 2, 30, 40, label="Roofs"),
        '{"boxes": [{"bbox": [1, 2, 30, 40]}]}',
        f'[{entry(1, 2, 30, 40)}, {{"bbox_2d": [5, 6',
        f'{{"objects": [{entry(1, 2, 30, 40)}, {{"bbox_2d": [5, 6, 7',
        entry(30, 40, 1, 2),
        entry(30, 2, 1, 40),
    ],
)
def test_a_box_is_found_wherever_it_stands(answer):
    assert read(answer)[0] == [ONE]


def test_what_is_of_no_use_is_counted_by_reason():
    parts = [
        entry(1, 2, 30, 40),
        entry(1, 2, 30, 40),
        entry(5, 5, 50, 50, label="unicorn"),
        entry(5, 5, 50, 50, label="lakes"),
        entry(300, 5, 350, 50),
        entry(5, 5, 5, 50),
        entry(5, 5, 50),
        '{"bbox_2d": [1, 2, NaN, 4], "label": "building"}',
        '{"bbox_2d": "1 2 3 4", "label": "building"}',
        '{"label": "building"}',
        "{'bbox_2d': [1, 2, 3, 4]}",
        '{"bbox_2d": [5, 6',
    ]
    boxes, dropped = read(f"[{', '.join(parts)}")
    assert boxes == [ONE]
    assert dropped == {
        "said before": 1,
        "unknown class": 1,
        "another class than asked for": 1,
        "outside the image": 2,
        "no box of four numbers": 4,
        "unreadable or cut off": 2,
    }
    assert read("There is none.") == read("[]") == read("") == ([], {})


def test_boxes_are_scaled_back_and_cut_at_the_border():
    frame = Frame(seen=(56, 112), image=(60, 100))
    assert read(entry(14, 7, 56, 28), frame=frame)[0] == [(12.5, 7.5, 50.0, 30.0, 0.95)]
    assert read(entry(-9, -9, 500, 28), frame=frame)[0] == [(0.0, 0.0, 100.0, 30.0, 0.95)]


def test_a_score_of_the_answer_counts_where_it_is_one():
    assert read(entry(1, 2, 30, 40, score=0.5))[0][0][-1] == 0.5
    for odd in (7, 0, True, "high"):
        assert read(entry(1, 2, 30, 40, score=odd))[0] == [ONE]


def test_words_stand_for_classes_in_any_case_and_number():
    for word, label in (
        ("bare soil", "bare_soil"), ("Bare-Soils", "bare_soil"), ("SAND", "bare_soil"),
        ("lakes", "water"), ("house", "building"),
    ):  # fmt: skip
        assert read(entry(1, 2, 30, 40, label=word), asked=label)[0], word
    assert known_names([("glass", ())]) == {"glass": "glass"}


def test_a_prompt_names_the_class():
    said = question("bare_soil", ("sand", "fallow land"))
    assert "every bare soil" in said and "sand, fallow land" in said and '"bbox_2d"' in said
    check_prompt(PROMPT)
    for wrong in ("Where?", "{name} {other}", '{name} as {"bbox_2d": []}', "{0} {name}"):
        with pytest.raises(ValueError, match=r"must name \{name\}"):
            check_prompt(wrong)


@pytest.fixture
def toy(tmp_path, clean_catalog):
    """A function that writes and registers 6 images, of which 3 are unlabelled."""

    def make(shape=(40, 48), **changes):
        for number in range(6):
            write_pair(tmp_path / "toy" / "train", f"{number:02d}", number, shape)
        register_dataset(spec_from_dict(toy_content(**changes)), tmp_path / "toy")

    return make


class Hand:
    """Says of every image that its left half is water, and what it was shown."""

    def __init__(self, model="a hand", fail_after=100):
        self.model, self.seen, self.left = model, [], fail_after

    def source(self, record):
        return {"model": self.model}

    def find(self, images):
        found = []
        for image in images:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.seen.append((image.record["image_id"], image.pixels))
            height, width = image.pixels.shape[:2]
            found.append(([box("water", 0, 0, width / 2, height)], Counter({"said before": 1})))
        return found


def run(finder, output, **options):
    records = get_records(NAME)
    specs = {"toy": get_spec("toy")}
    return ground(records, specs, output, ["land", "water"], finder, **options)


def test_images_are_grounded_once_and_the_rest_after_a_cut(toy, tmp_path):
    toy()
    first = Hand(fail_after=2)
    with pytest.raises(KeyboardInterrupt):
        run(first, tmp_path, together=1)
    second = Hand()
    made = run(second, tmp_path, together=1)
    assert (made.made, made.there) == (1, 2)
    names = [r["image_id"] for r in get_records(NAME)]
    assert [name for name, _ in first.seen + second.seen] == names
    for (_, pixels), record in zip(first.seen + second.seen, get_records(NAME), strict=True):
        assert (pixels == read_image(record["file_name"])[0]).all()
    assert made.boxes == {"water": 3} and made.dropped == {"said before": 3} and made.bare == 0
    third = Hand()
    assert run(third, tmp_path) == replace(made, made=0, there=3)
    assert third.seen == []
    StoredBoxes(tmp_path, ["land", "water"]).check(get_records(NAME), {"toy": get_spec("toy")})


def test_boxes_of_something_else_are_replaced_only_where_it_is_asked_for(toy, tmp_path):
    toy()
    run(Hand(), tmp_path)
    with pytest.raises(
        ValueError, match=r"(?s)3 of 3 .*source.model: 'a hand', now 'a foot'.*--ov"
    ):
        run(Hand("a foot"), tmp_path)
    assert run(Hand("a foot"), tmp_path, overwrite=True).made == 3
    record = get_records(NAME)[1]
    with open(record["file_name"], "ab") as file:
        file.write(b" ")
    with pytest.raises(ValueError, match=r"(?s)1 of 3 .*sha256"):
        run(Hand("a foot"), tmp_path)


def test_windows_are_looked_at_one_by_one_and_stored_in_pixels_of_their_image(toy, tmp_path):
    layout = {"images": "{set}/images/{name}.png", "labels": "{set}/labels/{name}.png"}
    toy(shape=(32, 64), layout={**layout, "window": 32})
    hand = Hand()
    run(hand, tmp_path)
    records = get_records(NAME)
    assert {pixels.shape for _, pixels in hand.seen} == {(32, 32, 3)}
    right = next(r for r in records if r["window"][1] == 32)
    found = load_grounding(grounding_path(tmp_path, "toy", right["image_id"]))
    assert found.boxes[0].corners == (32, 0, 48, 32) and found.window == (0, 32, 32, 32)
    (maps,) = StoredBoxes(tmp_path, ["land", "water"]).scores(right, (32, 32)).values()
    assert maps[:, :16].all() and not maps[:, 16:].any()


def given(folder, content):
    (folder / "given.json").write_text(json.dumps(content))
    return Given([folder / "given.json"], ["land", "water"], {"toy": get_spec("toy")})


def test_boxes_of_another_source_are_taken_as_they_are(toy, tmp_path):
    toy()
    mask = [[0, 0, 20, 0, 20, 9]]
    listed = [
        {"image_id": r["image_id"] if i else r["file_name"].rpartition("/")[2], "boxes": [
            {"class": "water", "box": [2, 3, 60, 9], "score": 0.4, "mask": mask},
            {"class": "land", "box": [50, 3, 60, 9]},
        ]}
        for i, r in enumerate(get_records(NAME))
    ]  # fmt: skip
    made = run(given(tmp_path, listed), tmp_path / "out")
    assert made.boxes == {"water": 3} and made.dropped == {"outside the image": 3}
    for record in get_records(NAME):
        found = load_grounding(grounding_path(tmp_path / "out", "toy", record["image_id"]))
        assert found.boxes == (box("water", 2, 3, 48, 9, score=0.4, mask=mask),)
        assert found.source["file"] == "given.json" and found.source["model"] == "given"
    stored = [*(tmp_path / "out").rglob("*.json")]
    again = Given(stored, ["land", "water"], {"toy": get_spec("toy")})
    assert run(again, tmp_path / "twice").boxes == {"water": 3}, "what is stored can be given"


def test_a_mask_of_a_whole_image_is_cut_by_the_windows(toy, tmp_path):
    layout = {"images": "{set}/images/{name}.png", "labels": "{set}/labels/{name}.png"}
    toy(shape=(32, 64), layout={**layout, "window": 32})
    names = dict.fromkeys(r["image_id"].rpartition("@")[0] for r in get_records(NAME))
    diagonal = [[0, 0, 64, 0, 64, 32]]
    content = [
        {"image_id": n, "boxes": [{"class": "land", "box": [0, 0, 64, 32], "mask": diagonal}]}
        for n in names
    ]
    run(given(tmp_path, content), tmp_path / "out")
    boxes = StoredBoxes(tmp_path / "out", ["land", "water"])
    whole = class_scores(load_grounding(boxes.path(get_records(NAME)[0])), ["land"], (0, 0, 32, 32))
    assert whole.keys() == {0}
    for record in get_records(NAME):
        maps = boxes.scores(record, (32, 32))[0] > 0
        share = 0.75 if record["window"][1] else 0.25
        assert maps.mean() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"image_id": "no/such.png", "boxes": []}], "none of the files lists train/images"),
        ([{"image_id": "a", "boxes": [{"class": "snow", "box": [0, 0, 1, 1]}]}], "boxes of snow"),
        ([{"image_id": "a", "boxes": [{"class": "land", "box": [2, 0, 1, 1]}]}], "x0 < x1"),
        ([{"image_id": "a", "boxes": []}] * 2, "given twice"),
        ([{"boxes": []}], "`image_id` and `boxes`"),
        ([3], "must hold objects"),
    ],
)
def test_files_that_are_none_are_named(toy, tmp_path, content, words):
    toy()
    with pytest.raises(ValueError, match=words):
        run(given(tmp_path, content), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("outlines", [False, True])
def test_boxes_of_labels_hold_every_large_part(toy, tmp_path, outlines):
    toy()
    spec, records = get_spec("toy"), get_records(NAME)
    masks = {("toy", r["image_id"]): r["file_name"].replace("images", "labels") for r in records}
    finder = FromLabels(masks, {"toy": spec}, least_area=1, outlines=outlines)
    made = run(finder, tmp_path)
    assert made.boxes.total() > 6 and not made.dropped
    boxes = StoredBoxes(tmp_path, spec.class_names)
    for record in records:
        truth = read_image(record["file_name"])[0][..., 0] > 100  # red tells the classes apart
        maps = boxes.scores(record, truth.shape)
        for label, own in ((0, ~truth), (1, truth)):
            claims = maps[label] > 0
            assert claims[own].all()
            assert (claims == own).all() == outlines
    large = run(FromLabels(masks, {"toy": spec}, least_area=500), tmp_path / "large")
    assert 0 < large.boxes.total() < made.boxes.total()
    assert large.boxes.total() + large.dropped["smaller than the least area"] == made.boxes.total()
    with pytest.raises(ValueError, match=r"no mask lies there for train/images/.*hidden labels"):
        run(FromLabels({}, {"toy": spec}), tmp_path / "none")


def test_images_of_one_band_or_many_are_shown_in_three(toy, tmp_path, monkeypatch):
    from co2s.data.reading.samples import Pixels
    from co2s.preparation.grounding import run as running

    toy()
    for bands, taken in ((1, [0, 0, 0]), (5, [0, 1, 2])):
        pixels = np.random.default_rng(0).integers(0, 256, (40, 48, bands), np.uint8)
        monkeypatch.setattr(running, "load_image", lambda *a, pixels=pixels: Pixels(pixels))
        hand = Hand()
        run(hand, tmp_path / str(bands))
        assert all((seen == pixels[..., taken]).all() for _, seen in hand.seen)
