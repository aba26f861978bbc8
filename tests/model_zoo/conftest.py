"""The authors' format and the direct computation, as fixtures; both live beside this file."""

from functools import partial
from pathlib import Path

import pytest

from co2s.model_zoo.authors import convert

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def authors_format(load_script):
    return load_script(HERE / "authors_format.py")


@pytest.fixture(scope="session")
def direct(load_script):
    return load_script(HERE / "direct.py")


@pytest.fixture(scope="session")
def convert_checkpoint(load_script):
    return load_script(HERE.parents[1] / "tools" / "convert_checkpoint.py")


@pytest.fixture
def tiny_format(tiny_cfg, authors_format):
    """A function (folder, **changes) that writes a pair of `tiny_cfg`'s size; and that cfg."""
    for student in (tiny_cfg.MODEL.GLOBAL, tiny_cfg.MODEL.LOCAL):
        student.HEAD.DILATIONS = (6, 12, 18)  # the format's
    return tiny_cfg, partial(authors_format.write_pair, **authors_format.TINY)


@pytest.fixture
def tiny_pair(tiny_format, tmp_path):
    """(cfg as converted, tensors of both files, converted state dict) of a small pair."""
    cfg, write = tiny_format
    pair = write(tmp_path)
    state, cfg = convert(cfg, tmp_path / "best_clip.pth", tmp_path / "best_dinov3.pth")
    return cfg, pair, state
