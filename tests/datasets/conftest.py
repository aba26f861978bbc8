"""Raw distributions of scenes in miniature, and the scripts that prepare them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "datasets"


@pytest.fixture
def prepare(tmp_path, load_script):
    """A function (name, *arguments) that runs datasets/prepare_<name>.py on raw/ into out/."""

    def run(name, *arguments):
        script = load_script(FOLDER / f"prepare_{name}.py")
        options = ["--raw", tmp_path / "raw", "--output", tmp_path / "out", *arguments]
        script.main([str(option) for option in options])
        return tmp_path / "out"

    return run


@pytest.fixture
def refused(prepare, stops):
    """A function (name, words, *arguments): the script ends with one message that matches."""

    def run(name, words, *arguments):
        with stops(words) as said:
            prepare(name, *arguments)
        return said[0]

    return run


@pytest.fixture
def no_rasterio(monkeypatch):
    """As on a machine without the extra `geo`."""
    from co2s.data.reading import formats

    monkeypatch.setattr(formats, "_has_rasterio", lambda: False)


def write_scene(image, label, colors, shape=(40, 50), seed=0):
    """A scene of noise and a mask of these colours at random; returns both arrays."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (*shape, 3), np.uint8)
    numbers = rng.integers(0, len(colors), shape)
    for path, array in ((image, pixels), (label, np.array(colors, np.uint8)[numbers])):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
    return pixels, numbers


def stamps(folder):
    """When each file was written last, and what is in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)
