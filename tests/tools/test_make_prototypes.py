"""tools/make_prototypes.py: what it writes, prints and refuses."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.modeling.guidance.text.file import load_prototypes
from co2s.modeling.guidance.text.source import TextSource

from ..modeling.tiny_clip import NAME, register, write_weights

TOOL = Path(__file__).parents[2] / "tools" / "make_prototypes.py"
QUICK = f"{NAME}-quickgelu"
SPEC = """
name: prototypes_toy
root: prototypes_toy
classes:
  - {name: dark, color: [0, 0, 0], concepts: [shadow, night]}
  - {name: light, color: [255, 255, 255], concepts: [snow]}
  - {name: lamp, color: [255, 255, 0], concepts: [sun, snow]}
labels: {encoding: index}
layout: {images: "{set}/{number}.png", labels: "{set}/{number}_label.png"}
splits: {fractions: ["1_4"], train: {set: [train]}, val: {set: [val]}}
"""


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    register(tmp_path_factory.mktemp("models"))


@pytest.fixture
def make(tmp_path, load_script):
    """A function (*arguments) that runs the tool in this process, which knows the tiny model."""
    tool = load_script(TOOL)
    (tmp_path / "toy.yaml").write_text(SPEC)
    weights = write_weights(tmp_path / "clip.pt")

    def run(*arguments, dataset=tmp_path / "toy.yaml", pretrained=weights, output="x.npz"):
        options = ["--dataset", dataset, "--model", QUICK, "--pretrained", pretrained]
        options += ["--output", tmp_path / output, *arguments]
        tool.main([str(option) for option in options])

    return run


def test_a_dataset_file_and_what_is_printed(make, tmp_path, capsys):
    make()
    array, record = load_prototypes(tmp_path / "x.npz")
    assert record.classes == ("dark", "light", "lamp")
    assert record.concepts == (("shadow", "night"), ("snow",), ("sun", "snow"))
    assert record.templates == ("a photo of a {}",)
    expected = TextSource(QUICK, str(tmp_path / "clip.pt")).prototypes(
        record.concepts, record.templates
    )
    np.testing.assert_array_equal(array, expected.numpy())
    text = capsys.readouterr().out
    assert "(3, 24) for prototypes_toy, made with tiny-clip-quickgelu" in text
    assert "dark: 2 concepts (shadow, night)" in text
    cosines = {
        f"{record.classes[a]} and {record.classes[b]}": float(array[a] @ array[b])
        for a, b in ((0, 1), (0, 2), (1, 2))
    }
    least, most = min(cosines, key=cosines.get), max(cosines, key=cosines.get)
    assert f"least alike: {least}, cosine {cosines[least]:.3f}" in text
    assert f"most alike: {most}, cosine {cosines[most]:.3f}" in text


def test_a_registered_dataset_with_templates_from_a_file(make, tmp_path):
    (tmp_path / "templates.txt").write_text("{} from above\na satellite photo of {}\n")
    make("--templates", tmp_path / "templates.txt", dataset="whdld")
    array, record = load_prototypes(tmp_path / "x.npz")
    assert array.shape == (6, 24)
    assert record.concepts[5] == (
        *("water", "lake", "river", "pond"),
        *("water body", "water surface", "reservoir"),
    )
    assert record.templates == ("{} from above", "a satellite photo of {}")


def test_a_file_of_the_same_record_is_up_to_date(make, tmp_path, capsys):
    make()
    os.utime(tmp_path / "x.npz", (1, 1))
    capsys.readouterr()
    make()
    assert "is up to date" in capsys.readouterr().out
    assert (tmp_path / "x.npz").stat().st_mtime == 1


def test_a_file_of_another_record_is_overwritten_on_request_only(make, tmp_path):
    make()
    before = (tmp_path / "x.npz").read_bytes()
    other = write_weights(tmp_path / "other.pt", seed=1)
    with pytest.raises(SystemExit, match=r"made from something else:\s+digest: (.*\s)*--overwrite"):
        make(pretrained=other)
    assert (tmp_path / "x.npz").read_bytes() == before
    make("--overwrite", pretrained=other)
    assert (tmp_path / "x.npz").read_bytes() != before
    np.savez(tmp_path / "plain.npz", prototypes=np.ones((3, 24), np.float32))
    with pytest.raises(SystemExit, match="it has no record"):
        make(output="plain.npz")


def test_what_cannot_be_made_is_said_in_one_sentence(make, tmp_path):
    (tmp_path / "templates.txt").write_text("{} from above\nfrom above\n")
    torch.save({"visual.proj": torch.ones(1)}, tmp_path / "visual.pt")
    cases = {
        r"line 2: 'from above' must have one '\{\}'": (
            ["--templates", tmp_path / "templates.txt"],
            {},
        ),
        "Unknown dataset 'whdl'.*Did you mean": ([], {"dataset": "whdl"}),
        r"written as \.npz": ([], {"output": "x.npy"}),
        r"away/clip\.pt.*no such file": ([], {"pretrained": "away/clip.pt"}),
        "hold no text encoder": ([], {"pretrained": tmp_path / "visual.pt"}),
        "no weights 'nonsense' for ViT-B-16": (
            ["--model", "ViT-B-16"],
            {"pretrained": "nonsense"},
        ),
    }
    for words, (arguments, options) in cases.items():
        with pytest.raises(SystemExit, match=words):
            make(*arguments, **options)
    assert not list(tmp_path.glob("*.npz"))


def test_the_command_line_has_a_default_model():
    shown = subprocess.run([sys.executable, TOOL, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "(default: ViT-B-16-quickgelu)" in " ".join(shown.stdout.split())
