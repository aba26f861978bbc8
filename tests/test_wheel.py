"""The wheel alone, without a checkout: it carries configs and specs, and predicts."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("co2s", "configs", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")

# Runs in the installed copy; prints nothing unless something is wrong.
CHECK = """
import pathlib, sys
import numpy as np
import co2s
from co2s import model_zoo
from co2s.d2 import DatasetCatalog, DefaultPredictor

here = pathlib.Path(sys.prefix).resolve()
assert here in pathlib.Path(co2s.__file__).resolve().parents, co2s.__file__
configs, specs = (set(names.split(",")) for names in sys.argv[1:])
assert set(model_zoo.config_names()) == configs, model_zoo.config_names()
for name in configs:
    path = pathlib.Path(model_zoo.get_config_file(name)).resolve()
    assert here in path.parents, path
    model_zoo.get_config(name)
for spec in specs:
    assert any(name.startswith(spec) for name in DatasetCatalog.list()), spec

cfg = model_zoo.get_config("quickstart.yaml")
cfg.MODEL.DEVICE = "cpu"
cfg.MODEL.WEIGHTS = ""
prediction = DefaultPredictor(cfg)(np.zeros((64, 64, 3), np.uint8))["sem_seg"]
assert prediction.shape == (6, 64, 64), prediction.shape
assert bool(prediction.isfinite().all())
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command outside the checkout; its output is the failure's message."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that nothing is written into the checkout."""
    tree = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=tree)
    (built,) = (tree / "dist").glob("*.whl")
    return built


def test_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    sources = [path for path in (ROOT / "co2s").rglob("*.*") if path.suffix in (".py", ".yaml")]
    expected = {path.relative_to(ROOT).as_posix() for path in sources}
    assert expected <= set(names), expected - set(names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"co2s"}
    assert wheel.name.endswith("-py3-none-any.whl")  # nothing compiled


def test_installed_wheel_finds_its_files_and_predicts(wheel: Path, tmp_path: Path) -> None:
    environment, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    venv.create(environment, with_pip=False, symlinks=os.name != "nt")
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    paths = {"base": str(environment), "platbase": str(environment)}
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    run(*install, "--target", site, wheel, cwd=empty)
    # The requirements come from the running environment. A .pth line adds the folder to the path
    # and does not follow the .pth files within, so an editable co2s stays out of sight.
    shared = dict.fromkeys(sysconfig.get_paths()[key] for key in ("purelib", "platlib"))
    (site / "requirements.pth").write_text("\n".join(shared) + "\n")

    configs = [path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml")]
    specs = [path.stem for path in (ROOT / "co2s" / "data" / "spec" / "builtin").glob("*.yaml")]
    assert configs
    assert specs
    arguments = (",".join(path.as_posix() for path in configs), ",".join(specs))
    run(python, "-c", CHECK, *arguments, cwd=empty)
