"""The models that ground classes: real classes and processors, a few thousand random weights."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from co2s.data.grounding import Box
from co2s.preparation.grounding import Asked
from co2s.preparation.grounding.finders import Shown
from co2s.preparation.grounding.qwen import Qwen
from co2s.preparation.grounding.segmenter import Sam, encoded

from .tiny_vlm import save, says, tiny_qwen, tiny_sam, transformers

CLASSES = [("building", ("house",)), ("water", ("lake",))]


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_batch_of_questions_is_answered_as_one_by_one():
    model, processor = tiny_qwen()
    qwen = Qwen(model, processor, max_new_tokens=6)
    images, questions = [image(60, 100), image(90, 40, 1)], ["Where?", "Where is the lake?"]
    together = qwen.ask(images, questions)
    alone = [qwen.ask([i], [q])[0] for i, q in zip(images, questions, strict=True)]
    assert [a.seen for a in together] == [(56, 112), (84, 28)] == [a.seen for a in alone]
    assert [a.text for a in together] == [a.text for a in alone]
    assert all(a.text and "<|" not in a.text for a in together)


def test_the_model_is_shown_each_image_with_its_question():
    model, processor = tiny_qwen()
    shown = {}
    model.generate = lambda **inputs: shown.update(inputs) or inputs["input_ids"]
    qwen = Qwen(model, processor)
    images, questions = [image(56, 56, seed) for seed in range(3)], ["A?", "B long one?", "C?"]
    qwen.ask(images, questions)
    patches = shown["pixel_values"].reshape(3, 16, -1)
    texts = processor.batch_decode(shown["input_ids"])
    for number, (picture, asked) in enumerate(zip(images, questions, strict=True)):
        qwen.ask([picture], [asked])
        assert torch.equal(shown["pixel_values"], patches[number])
        assert f"{asked}<|im_end|>\n<|im_start|>assistant\n" in texts[number]
        assert texts[number].endswith("assistant\n"), "padded before the question"


def test_boxes_come_back_to_the_pixels_of_the_image():
    model, processor = tiny_qwen()
    says(model, processor, '[{"bbox_2d": [14, 7, 56, 28], "label": "house"}]')
    asked = Asked(Qwen(model, processor), CLASSES, together=3)
    record = {"image_id": "a", "dataset": "toy"}
    (first, lost), (second, _) = asked.find(
        [Shown(record, image(60, 100)), Shown(record, image(112, 112))]
    )
    # 100 x 60 pixels are seen as 112 x 56.
    assert first == [Box("building", (12.5, 7.5, 50.0, 30.0), 0.95)]
    assert second == [Box("building", (14.0, 7.0, 56.0, 28.0), 0.95)]
    assert lost == {"another class than asked for": 1}, "asked for water it speaks of houses"


def test_masks_of_more_boxes_than_pass_at_once(monkeypatch):
    sam = Sam(*tiny_sam())
    boxes = [Box("building", (3.0 + i, 4.0, 20.0 + i, 22.0), 0.9) for i in range(5)]
    masks = sam.masks(image(40, 50), boxes)
    assert [mask.shape for mask in masks] == [(40, 50)] * 5
    assert all(mask.dtype == bool and 0 < mask.mean() < 1 for mask in masks)
    assert (masks[0] != masks[4]).any(), "each is of its box"
    monkeypatch.setattr("co2s.preparation.grounding.segmenter.TOGETHER", 2)
    again = sam.masks(image(40, 50), boxes)
    assert all((one == two).mean() > 0.99 for one, two in zip(masks, again, strict=True))
    assert sam.masks(image(40, 50), []) == []
    runs = encoded(masks[0])
    assert (coco_mask.decode(runs) == masks[0]).all() and isinstance(runs["counts"], str)


def test_a_segmenter_gives_boxes_their_masks_and_empty_ones_are_counted(monkeypatch):
    model, processor = tiny_qwen()
    says(
        model,
        processor,
        '[{"bbox_2d": [0, 0, 56, 56], "label": "building"}, '
        '{"bbox_2d": [56, 56, 112, 112], "label": "building"}]',
    )
    sam = Sam(*tiny_sam())
    mask = np.zeros((112, 112), bool)
    mask[:60, :60] = True
    monkeypatch.setattr(sam, "masks", lambda pixels, boxes: [mask, mask & False])
    asked = Asked(Qwen(model, processor), CLASSES[:1], segmenter=sam)
    ((boxes, dropped),) = asked.find([Shown({"image_id": "a"}, image(112, 112))])
    assert [coco_mask.decode(box.mask).sum() for box in boxes] == [3600]
    assert dropped == {"nothing found inside by the segmenter": 1}


def test_models_load_from_folders_and_say_which_they_are(tmp_path):
    one = Qwen.load(save(tiny_qwen(), tmp_path / "qwen"), "cpu", max_new_tokens=4)
    assert one.name == str(tmp_path / "qwen") and len(one.version) == 16
    assert next(one.model.parameters()).dtype == torch.float32 and not one.model.training
    assert one.ask([image(40, 40)], ["Where?"])[0].seen == (28, 28)
    two = Sam.load(save(tiny_sam(), tmp_path / "sam"), "cpu")
    assert len(two.version) == 16 and two.version != one.version
    source = Asked(one, CLASSES, segmenter=two).source({})
    assert source["model"] == one.name and source["segmenter_version"] == two.version


def test_what_cannot_be_loaded_is_one_message(tmp_path):
    with pytest.raises(OSError, match=r"model no/such cannot be loaded: .*folder that holds them"):
        Qwen.load("no/such", "cpu")
    transformers.SamConfig().save_pretrained(tmp_path / "sam")
    with pytest.raises(ValueError, match=r"is a sam; .*--boxes-from"):
        Qwen.load(str(tmp_path / "sam"), "cpu")
    with pytest.raises(OSError, match="cannot be loaded"):
        Sam.load(str(tmp_path / "sam"), "cpu")
