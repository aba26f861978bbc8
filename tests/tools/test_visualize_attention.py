"""The attention sheet as a user has it: files, panels, checkpoint, and what bad options say."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from co2s.d2 import build_model
from co2s.evaluation import attention as drawing
from co2s.model_zoo import get_config
from co2s.modeling.backbone import build_backbone

ROOT = Path(__file__).parents[2]


@pytest.fixture
def draw(tmp_path, monkeypatch, load_script):
    """A function (*arguments) that runs the tool on a 60 x 100 image; the sheet's texts."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scene.png")
    figures: list[Figure] = []

    def save(figure, path):
        figures.append(figure)
        return save_figure(figure, path, dpi=40)

    tool, save_figure = load_script(ROOT / "tools/visualize_attention.py"), drawing.save_figure
    monkeypatch.setattr(drawing, "save_figure", save)

    def run(*arguments):
        command = ["visualize_attention.py", "--config-file", ROOT / "configs/quickstart.yaml"]
        command += ["--image", tmp_path / "scene.png", "--output", tmp_path / "sheet.png"]
        monkeypatch.setattr(sys, "argv", [str(x) for x in (*command, *arguments)])
        tool.main()
        assert Image.open(tmp_path / "sheet.png").size[0] > 100
        return figures[-1]

    return run


def headings(figure):
    return [axis.get_title().split("\n")[0] for axis in figure.axes if axis.get_title()]


@pytest.mark.parametrize("student", ["global", "local"])
def test_one_picture_for_the_image_each_head_mean_and_maximum(draw, student, capsys):
    figure = draw("--student", student, "MODEL.DEVICE", "cpu")
    heads = [f"head {i}" for i in range(4)]
    assert headings(figure) == ["image", "mean over heads", "maximum over heads", *heads]
    maps = [a.images[0].get_array() for a in figure.axes if a.images][1:]
    assert all(m.shape == (8, 12) for m in maps)
    np.testing.assert_allclose(maps[0], np.mean(maps[2:], axis=0), rtol=1e-5)
    np.testing.assert_allclose(maps[1], np.max(maps[2:], axis=0), rtol=1e-5)
    caption = figure.get_supxlabel()
    assert "scene.png: 100 x 60 pixels, seen at 96 x 58, 8 rows of 12 patches" in caption
    assert "weights: co2s-tiny" in caption and "class token" in caption
    assert ("does not use this layer's attention" in caption) == (student == "global")
    assert ("4 register tokens" in caption) == (student == "local")
    assert "sheet.png" in capsys.readouterr().out


def test_a_pixel_s_patch_and_the_limit_of_the_size(draw):
    figure = draw("--query", "59,80", "--layer", "0", "--max-side", "200", "MODEL.DEVICE", "cpu")
    assert "100 x 60 pixels, 8 rows of 13 patches" in figure.get_supxlabel()
    assert "patch (7, 10) at pixel (59, 80)" in figure.get_supxlabel()
    assert "layer 0 (of 0 to 3)" in figure.get_suptitle()
    frames = [axis.patches[0].get_xy() for axis in figure.axes if axis.get_title()]
    assert frames == [(80, 56)] * 7


def test_shrunk_images_keep_the_pixel_s_place(draw):
    figure = draw("--query", "30,99", "--max-side", "50", "MODEL.DEVICE", "cpu")
    assert "seen at 50 x 30, 4 rows of 7 patches" in figure.get_supxlabel()
    assert "patch (1, 6) at pixel (30, 99)" in figure.get_supxlabel()


def test_a_checkpoint_is_what_is_drawn(draw, tmp_path):
    cfg = get_config("quickstart.yaml")
    cfg.MODEL.DEVICE = "cpu"
    model = build_model(cfg)
    for parameter in model.students["local"].backbone.parameters():
        parameter.data.zero_()  # then every token gets the same attention
    torch.save({"model": model.state_dict()}, tmp_path / "model.pth")
    keys = ["MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", tmp_path / "model.pth"]
    figure = draw("--student", "local", *keys)
    tokens = 8 * 12 + 5
    for axis in figure.axes[1:7]:
        np.testing.assert_allclose(axis.images[0].get_array(), 1 / tokens, rtol=1e-5)
    assert "model.pth" in figure.get_supxlabel()


def test_pretrained_weights_are_drawn_without_text_prototypes(draw, tmp_path):
    visual = build_backbone(get_config("quickstart.yaml").MODEL.GLOBAL).visual
    torch.save(visual.state_dict(), tmp_path / "clip.pt")
    keys = ["MODEL.DEVICE", "cpu", "MODEL.GLOBAL.BACKBONE.WEIGHTS", tmp_path / "clip.pt"]
    assert "clip.pt" in draw("--student", "global", *keys).get_supxlabel()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layer", "4"], r"--layer 4.*no layer 4.*0 to 3"),
        (["--query", "60,3"], r"--query 60,3 is outside.*rows are 0 to 59.*columns are 0 to 99"),
        (["--query", "middle"], r"--query is 'middle'.*cls, or ROW,COLUMN"),
    ],
)
def test_bad_options_leave_no_sheet(draw, tmp_path, arguments, words):
    with pytest.raises(SystemExit, match=words):
        draw(*arguments, "MODEL.DEVICE", "cpu")
    assert not (tmp_path / "sheet.png").exists()


SPEC = """
name: attention_rasters
root: data
classes: [{name: land, color: [0, 0, 0], concepts: [land]}]
labels: {encoding: index}
layout: {images: "{n}.tif", labels: "{n}.png"}
raster: {bands: [1, 2, 3, 4], scale: {range: [0, 1000]}}
splits: {fractions: ["1_2"], val: {n: ["a"]}}
"""


def test_the_image_is_read_as_the_dataset_says(draw, tmp_path, clean_catalog, monkeypatch):
    """Four bands of 16 bits, by the specs that the configuration names."""
    from ..geo import write_raster

    bands = np.random.default_rng(0).integers(0, 1000, (4, 60, 100)).astype(np.uint16)
    write_raster(tmp_path / "scene.tif", bands)
    (tmp_path / "spec.yaml").write_text(SPEC)
    names = ["DATASETS.SPECS", f"('{tmp_path / 'spec.yaml'}',)", "DATASETS.LABELED", "()"]
    names += ["DATASETS.UNLABELED", "()", "DATASETS.TEST", "('attention_rasters_val',)"]
    figure = draw("--image", tmp_path / "scene.tif", *names)
    assert headings(figure)[0] == "image"
    with pytest.raises(SystemExit, match=r"--student third: .*'global', 'local'"):
        draw("--student", "third")
