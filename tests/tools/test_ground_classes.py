"""ground_classes: from a configuration to stored boxes that training takes."""

import json
import sys
from pathlib import Path

import pytest

from co2s.data import build_unlabeled_loader, get_records
from co2s.data.grounding import grounding_path, load_grounding
from co2s.engine import load_cfg
from co2s.structures import Views

from ..engine.conftest import toy, toy_cfg, written  # noqa: F401

TOOL = Path(__file__).parents[2] / "tools" / "ground_classes.py"
UNLABELED = "engine_toy_1_4_unlabeled"


@pytest.fixture(scope="module")
def tool(load_script):
    """tools/ground_classes.py"""
    return load_script(TOOL)


@pytest.fixture
def config(written):  # noqa: F811
    return str(written())


def stored(folder, record):
    return load_grounding(grounding_path(folder, "engine_toy", record["image_id"]))


def test_boxes_of_labels_are_said_to_be_and_training_takes_them(
    tool, config, tmp_path, capsys, log
):
    output = tmp_path / "boxes"
    tool.main(["--config-file", config, "--boxes-from-labels", "--output", str(output)])
    said = capsys.readouterr().out
    assert "12 images grounded, 0 were there already" in said
    assert "24 boxes: dark 12, light 12. 0 images have none." in said
    assert "LABELS: an upper bound, not a method" in said
    found = stored(output, get_records(UNLABELED)[0])
    assert found.source["model"] == "labels" and "upper bound" in found.source["note"]
    assert [box.label for box in found.boxes] == ["dark", "light"]
    dark, light = (box.corners for box in found.boxes)
    assert dark[:2] == (0, 0) and dark[2] == light[0] and (*light[2:], dark[3]) == (40,) * 3
    opts = ["MODEL.PURIFIER.NAME", "VLMPurifier", "MODEL.PURIFIER.BOXES", str(output)]
    cfg = load_cfg(config, opts)
    items = next(iter(build_unlabeled_loader(cfg, Views(strong=1))))
    assert items[0]["grounding"].shape == (2, 16, 16)
    assert ((items[0]["grounding"] > 0).sum(0) == 1).all()
    assert "upper bound, and no semi-supervised result" in log.text
    # The folder of the configuration is the default, and what is there stays.
    tool.main(["--config-file", config, "--boxes-from-labels", *opts])
    assert "0 images grounded, 12 were there already" in capsys.readouterr().out


def test_a_dataset_without_a_configuration(tool, config, tmp_path, capsys):
    file, output = str(tmp_path / "engine_toy.yaml"), str(tmp_path / "boxes")
    splits = ["--split", UNLABELED, "engine_toy_1_4_labeled", UNLABELED]
    given = ["--dataset", file, *splits, "--boxes-from-labels", "--output", output]
    given += ["--root", str(tmp_path / "toy")]
    tool.main([*given, "--outlines", "--score", "0.5", "--least-area", "900"])
    said = capsys.readouterr().out
    assert "16 images grounded" in said and "Dropped: smaller than the least area" in said
    for path in Path(output).rglob("*.json"):
        for box in load_grounding(path).boxes:
            assert box.score == 0.5 and box.mask["size"] == [40, 40]


def test_boxes_of_another_source(tool, config, tmp_path, capsys):
    names = [record["image_id"] for record in get_records(UNLABELED)]
    boxes = [{"class": "light", "box": [3, 3, 20, 20], "score": 0.7}]
    given = tmp_path / "given.json"
    given.write_text(json.dumps([{"image_id": name, "boxes": boxes} for name in names]))
    args = ["--config-file", config, "--output", str(tmp_path / "b"), "--boxes-from", str(given)]
    tool.main(args)
    assert "12 boxes: dark 0, light 12." in capsys.readouterr().out


def test_a_vision_language_model_is_asked_once_for_every_class(
    tool, config, tmp_path, capsys, monkeypatch
):
    from ..preparation.tiny_vlm import save, says, tiny_qwen, tiny_sam

    model, segmenter = save(tiny_qwen(), tmp_path / "qwen"), save(tiny_sam(), tmp_path / "sam")
    real, asked = tool.Qwen.load, []

    def load(*args):
        found = real(*args)
        says(found.model, found.processor, '[{"bbox_2d": [0, 0, 14, 28], "label": "snow"}, {"b')
        ask = found.ask
        found.ask = lambda images, questions: asked.extend(questions) or ask(images, questions)
        return found

    monkeypatch.setattr(tool.Qwen, "load", load)
    output = tmp_path / "boxes"
    args = ["--config-file", config, "--output", str(output), "--model", model]
    args += ["--segmenter", segmenter, "--device", "cpu", "--together", "5"]
    tool.main(args)
    said = capsys.readouterr().out
    assert len(asked) == 24 and asked[0].count("dark") == 2 and "shadow" in asked[0]
    assert "12 images grounded" in said and "unreadable or cut off 24" in said
    assert "another class than asked for 12" in said
    found = stored(output, get_records(UNLABELED)[0])
    assert found.source["model"] == model and found.source["segmenter"] == segmenter
    assert {box.label for box in found.boxes} <= {"light"}  # of which snow is a concept
    for box in found.boxes:
        assert box.corners == (0.0, 0.0, 20.0, 40.0), "28 pixels are the image's 40"
        assert box.mask["size"] == [40, 40]
    tool.main(args)
    assert "0 images grounded, 12 were there already" in capsys.readouterr().out
    assert len(asked) == 24


def test_faults_are_one_message(tool, config, tmp_path, stops, monkeypatch):
    given = ["--config-file", config, "--output", str(tmp_path / "boxes")]
    with stops("Say which images"):
        tool.main(["--output", "boxes"])
    with stops("Say where the boxes shall lie"):
        tool.main(["--config-file", config])
    with stops("must name"):
        tool.main([*given, "--prompt", "Where?"])
    with stops(r"None is registered|Unknown dataset"):
        tool.main(["--split", "nowhere_1_8_unlabeled", "--output", "boxes"])
    with stops("holds no boxes of images"):
        (tmp_path / "x.json").write_text("{}")
        tool.main([*given, "--boxes-from", str(tmp_path / "x.json")])
    with stops("no/such cannot be loaded"):
        pytest.importorskip("transformers", reason="transformers is the extra `vlm`")
        tool.main([*given, "--model", "no/such"])
    monkeypatch.setitem(sys.modules, "transformers", None)
    with stops(r"needs transformers, which is not installed: pip install 'co2s\[vlm\]'"):
        tool.main(given)
    for more, words in (
        (["--boxes-from", "a", "--boxes-from-labels"], "give one of them"),
        (["--score", "2"], "above 0, up to 1"),
    ):
        with stops(words):
            tool.main([*given, *more])
    assert not (tmp_path / "boxes").exists()
