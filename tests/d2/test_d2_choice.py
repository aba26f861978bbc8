"""Which detectron2 co2s.d2 takes its names from, and what it says when it cannot."""

import os
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from co2s import d2

CO2S = Path(d2.__file__).parents[1]

# co2s.d2 alone: the rest of co2s has no part in this and takes seconds to import.
ALONE = f"""
import sys, types
package = types.ModuleType("co2s")
package.__path__ = [{str(CO2S)!r}]
sys.modules["co2s"] = package
"""

# Importable, found by its spec, and unusable.
BROKEN = "raise RuntimeError('this detectron2 is broken')"


def open_door(code, choice=None, path=None):
    env = {k: v for k, v in os.environ.items() if k not in ("CO2S_D2", "PYTHONPATH")}
    env["PYTHONPATH"] = os.pathsep.join([str(path)] if path else [])
    if choice is not None:
        env["CO2S_D2"] = choice
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE + code],
        env=env,
        text=True,
        capture_output=True,
        check=False,
    )


def fake_detectron2(folder, code):
    (folder / "detectron2").mkdir()
    (folder / "detectron2" / "__init__.py").write_text(code)
    return folder


def test_one_list_of_names():
    from co2s.d2 import lite

    assert set(lite.__all__) == set(d2.NAMES)
    assert set(d2.__all__) == {"ACTIVE", "describe", *d2.NAMES}
    assert all(hasattr(d2, name) for name in d2.__all__)


def test_this_process():
    wish = os.environ.get("CO2S_D2", "")
    expected = wish or ("detectron2" if d2._installed() else "lite")
    assert expected == d2.ACTIVE
    home = "co2s.d2.lite" if d2.ACTIVE == "lite" else "detectron2"
    assert d2.SimpleTrainer.__module__.startswith(home)
    assert d2.hooks.__name__.startswith(home)
    assert d2.describe().startswith("detectron2 ")


def test_lite_when_forced(tmp_path):
    """With CO2S_D2=lite a detectron2 is not even touched."""
    path = fake_detectron2(tmp_path, BROKEN)
    done = open_door("from co2s.d2 import describe; print(describe())", "lite", path)
    assert done.stdout == "detectron2 subset (co2s.d2.lite)\n", done.stderr


@pytest.mark.parametrize("is_package", [True, False])
def test_a_folder_named_detectron2_is_no_installation(tmp_path, monkeypatch, is_package):
    """A clone in the working directory holds the package; it is not the package."""
    (tmp_path / "detectron2").mkdir()
    if is_package:
        (tmp_path / "detectron2" / "__init__.py").touch()
    found = PathFinder.find_spec("detectron2", [str(tmp_path)])
    assert found is not None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found)
    assert d2._installed() is is_package


def test_broken_detectron2_fails(tmp_path):
    done = open_door("import co2s.d2", path=fake_detectron2(tmp_path, BROKEN))
    assert done.returncode != 0
    assert "this detectron2 is broken" in done.stderr


def test_incomplete_detectron2_fails(tmp_path):
    done = open_door("import co2s.d2", "detectron2", fake_detectron2(tmp_path, ""))
    assert done.returncode != 0
    assert "No module named 'detectron2." in done.stderr


def test_unknown_choice(monkeypatch):
    monkeypatch.setenv("CO2S_D2", "light")
    with pytest.raises(ValueError, match="CO2S_D2 is 'light': set it to 'lite' or 'detectron2'"):
        d2._choose()


def test_asked_for_and_absent(monkeypatch):
    monkeypatch.setenv("CO2S_D2", "detectron2")
    monkeypatch.setattr(d2, "_installed", lambda: False)
    with pytest.raises(ModuleNotFoundError, match="which is not installed: install it, or unset"):
        d2._choose()


@pytest.mark.parametrize(("installed", "expected"), [(True, "detectron2"), (False, "lite")])
def test_left_to_itself(monkeypatch, installed, expected):
    monkeypatch.delenv("CO2S_D2", raising=False)
    monkeypatch.setattr(d2, "_installed", lambda: installed)
    assert d2._choose() == expected
