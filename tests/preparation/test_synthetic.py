"""The generator of synthetic_aerial."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from co2s.data import get_records, get_spec, read_classes, set_root
from co2s.preparation.synthetic import draw_scene, write_synthetic_aerial

SMALL = {"train_scenes": 2, "val_scenes": 1, "tile": 48, "demo_size": (64, 80)}
SCRIPT = Path(__file__).parents[2] / "datasets" / "prepare_synthetic_aerial.py"


def contents(root):
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_scenes_are_seeded():
    image, label = draw_scene(np.random.default_rng(3), (64, 96))
    assert image.shape == (64, 96, 3)
    assert image.dtype == label.dtype == np.uint8
    again = draw_scene(np.random.default_rng(3), (64, 96))
    assert (image == again[0]).all()
    assert (label == again[1]).all()
    assert (draw_scene(np.random.default_rng(4), (64, 96))[0] != image).any()


def test_scenes_show_all_classes_and_differ_in_style():
    scenes = [draw_scene(np.random.default_rng(seed), (128, 128)) for seed in range(10)]
    shares = np.mean([np.bincount(label.ravel(), minlength=6) for _, label in scenes], axis=0)
    assert len(shares) == 6
    assert (shares / 128**2 > 0.02).all()
    assert np.std([image.mean() for image, _ in scenes]) > 10


def test_the_folder_is_the_registered_dataset(tmp_path):
    root = write_synthetic_aerial(tmp_path / "synthetic_aerial", **SMALL)
    set_root("synthetic_aerial", root)
    try:
        records = get_records("synthetic_aerial_1_1_labeled")
        assert len(records) == 8
        assert len(get_records("synthetic_aerial_1_4_labeled")) == 2
        assert len(get_records("synthetic_aerial_1_4_unlabeled")) == 6
        assert len(get_records("synthetic_aerial_val")) == 4
    finally:
        set_root("synthetic_aerial", None)
    spec = get_spec("synthetic_aerial")
    classes = read_classes(records[0]["sem_seg_file_name"], spec)
    with Image.open(records[0]["sem_seg_file_name"]) as mask:
        colors = np.asarray(mask.convert("RGB"))
    palette = np.array([entry.color for entry in spec.classes])
    assert (palette[classes] == colors).all()
    with Image.open(root / "demo" / "images" / "scene.png") as image:
        assert image.size == (80, 64)
    assert (root / "demo" / "labels" / "scene.png").is_file()


def test_same_seed_same_bytes_and_other_seed_other_pictures(tmp_path):
    first = contents(write_synthetic_aerial(tmp_path / "a", **SMALL))
    assert contents(write_synthetic_aerial(tmp_path / "b", **SMALL)) == first
    other = contents(write_synthetic_aerial(tmp_path / "b", seed=1, **SMALL))  # replaces
    images = [name for name in first if name.endswith(".png") and "images" in name]
    assert len(images) == 13
    assert all(first[name] != other[name] for name in images)
    assert len({first[name] for name in images}) == len(images)


def test_twice_is_once(tmp_path):
    root = write_synthetic_aerial(tmp_path / "a", **SMALL)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_synthetic_aerial(root, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]  # no draft is left


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(ValueError):
        write_synthetic_aerial(tmp_path / "a", **{**SMALL, "demo_size": (-1, 5)})
    assert not list(tmp_path.iterdir())


def test_a_foreign_folder_is_not_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="was not written by this generator"):
        write_synthetic_aerial(tmp_path, **SMALL)
    assert contents(tmp_path) == {"mine.txt": b"precious"}


def test_the_command(tmp_path, monkeypatch, capsys):
    from co2s.preparation import synthetic

    def small(root, seed):
        return write_synthetic_aerial(root, seed, **SMALL)

    monkeypatch.setattr(synthetic, "write_synthetic_aerial", small)
    monkeypatch.setattr(sys, "argv", ["prepare", "--output", str(tmp_path / "a"), "--seed", "2"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert str(tmp_path / "a") in capsys.readouterr().out
    assert len(list((tmp_path / "a" / "train" / "images").iterdir())) == 8
