"""tools/predict.py: a folder of scenes in one run, and what it says of those that fail."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.data.carried import Carried
from co2s.data.spec import RasterSpec
from co2s.inference import geotiff
from tests.geo import rasterio, write_raster

from .conftest import CLASSES

TOY = Carried("toy", CLASSES)
TOOL = Path(__file__).parents[2] / "tools" / "predict.py"


@pytest.fixture
def predict(weights, tmp_path, monkeypatch, capsys, load_script):
    """A function (*arguments) that predicts the folder `in`: exit code, and what is printed."""
    module = load_script(TOOL)

    def main(*arguments, known=TOY, trained=None):
        trained = trained or weights(known)
        given = ["predict.py", "--weights", trained, "--output", tmp_path / "out"]
        given += ["--input", tmp_path / "in", *arguments]
        monkeypatch.setattr(sys, "argv", [str(part) for part in given])
        module.main()

    def run(*arguments, **more):
        with pytest.raises(SystemExit) as done:
            main(*arguments, **more)
        return done.value.code, capsys.readouterr().out

    run.main = main
    return run


@pytest.fixture
def scenes(tmp_path):
    """Three rasters of 40 x 50 pixels in `in`."""
    for number in range(3):
        bands = np.random.default_rng(number).integers(0, 256, (3, 40, 50)).astype(np.uint8)
        write_raster(tmp_path / "in" / f"s{number}.tif", bands)
    return tmp_path / "in"


def made(tmp_path):
    return sorted(path.stem for path in (tmp_path / "out").glob("*.json"))


def test_a_folder_is_predicted_once(predict, scenes, tmp_path):
    code, said = predict("--confidence", "--disagreement")
    assert code == 0
    assert "3 scenes predicted, 0 were finished already, 0 failed." in said
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    with rasterio.open(tmp_path / "out" / "s1_uncertainty.tif") as file:
        assert file.descriptions == ("confidence", "disagreement")
    _, said = predict("--confidence", "--disagreement")
    assert "0 scenes predicted, 3 were finished already" in said
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == files
    (tmp_path / "out" / "s1.tif").unlink()
    _, said = predict("--confidence", "--disagreement")
    assert "1 scenes predicted, 2 were finished" in said
    _, said = predict("--confidence")
    assert "3 scenes predicted" in said, "other options, other maps"


def test_other_weights_make_the_maps_anew(predict, weights, scenes):
    trained = weights()
    predict(trained=trained)
    content = torch.load(trained, weights_only=True)
    content["model"]["temperatures.global"] += 0.5
    torch.save(content, trained)
    assert "3 scenes predicted" in predict(trained=trained)[1]


def test_a_scene_that_fails_is_listed_and_the_others_are_made(predict, scenes, tmp_path):
    content = (scenes / "s0.tif").read_bytes()
    (scenes / "s0.tif").write_bytes(content[: len(content) // 2])
    write_raster(scenes / "s2.tif", np.zeros((2, 40, 50), np.uint8))
    code, said = predict()
    assert code == 1
    assert "1 scenes predicted, 0 were finished already, 2 failed." in said
    assert "s0.tif cannot be read as a raster" in said
    assert "s2.tif has 2 bands" in said
    assert made(tmp_path) == ["s1"]
    assert not [*(tmp_path / "out").glob(".*")]


def test_shards_make_all_of_them_between_them(predict, scenes, tmp_path):
    predict("--shard", "2/2")
    assert made(tmp_path) == ["s1"]
    predict("--shard", "1/2")
    assert made(tmp_path) == ["s0", "s1", "s2"]


def test_one_student_alone_is_its_own_map(predict, scenes, tmp_path):
    predict("--maps")
    with rasterio.open(tmp_path / "out" / "s0_local.tif") as file:
        local = file.read(1)
    predict("--student", "local")
    with rasterio.open(tmp_path / "out" / "s0.tif") as file:
        assert (file.read(1) == local).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--student", "third"], "there are .'fused', 'global', 'local'."),
        (["--shard", "5"], "--shard must be I/N"),
        (["--config-file", "nowhere.yaml"], "'nowhere.yaml' is missing"),
    ],
)
def test_what_cannot_be_is_one_message(predict, scenes, stops, arguments, words):
    with stops(words):
        predict.main(*arguments)


def test_four_bands_are_read_as_four(predict, scenes, tmp_path):
    for number in range(3):
        write_raster(scenes / f"s{number}.tif", np.full((4, 40, 50), 90, np.uint8))
    known = Carried("toy", CLASSES, RasterSpec(bands=(4, 3, 2, 1)))
    assert predict(known=known)[0] == 0


def test_a_full_disk_ends_the_run(predict, scenes, tmp_path, monkeypatch, stops):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(geotiff, "to_cog", full)
    with stops("No space left on device"):
        predict.main()
    assert not [*(tmp_path / "out").iterdir()]


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
import runpy
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("most", [3_000, 60_000])
def test_what_the_disk_refuses_is_said_of_the_output(weights, tmp_path, most):
    bands = np.random.default_rng(0).integers(0, 256, (3, 300, 300)).astype(np.uint8)
    scene = write_raster(tmp_path / "scene.tif", bands)
    command = [sys.executable, "-c", FULL, str(most), TOOL, "--weights", weights(TOY)]
    command += ["--input", scene, "--output", tmp_path / "out", "--probabilities"]
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "the maps cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [*(tmp_path / "out").iterdir()]


KILLED = """
import os, sys
from co2s.inference import scene_maps
place = scene_maps.place_together
def once(places):
    if "s1.tif" in {path.name for path in places}:
        os.kill(os.getpid(), 9)
    place(places)
scene_maps.place_together = once
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_killed_run_leaves_whole_maps_and_goes_on(predict, weights, scenes, tmp_path):
    trained = weights()
    command = [sys.executable, "-c", KILLED, TOOL, "--weights", trained, "--input", scenes]
    command += ["--output", tmp_path / "out"]
    done = subprocess.run(
        [str(part) for part in command], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == -9
    assert made(tmp_path) == ["s0"]
    before = (tmp_path / "out" / "s0.tif").stat().st_mtime_ns
    assert not (tmp_path / "out" / "s1.tif").exists()
    code, said = predict(trained=trained)
    assert (code, made(tmp_path)) == (0, ["s0", "s1", "s2"])
    assert "2 scenes predicted, 1 were finished already" in said
    assert (tmp_path / "out" / "s0.tif").stat().st_mtime_ns == before
    assert not [*(tmp_path / "out").glob(".*")]


def test_weights_without_their_dataset_need_its_name(predict, weights, scenes, stops):
    trained = weights()
    content = torch.load(trained, weights_only=True)
    torch.save({"model": content["model"]}, trained)
    with stops("do not say which classes they know"):
        predict.main(trained=trained)


def test_weights_of_other_classes_are_refused(predict, weights, scenes, stops):
    trained = weights()
    content = torch.load(trained, weights_only=True)
    torch.save(content | {"dataset": Carried("toy", CLASSES[:4]).to_dict()}, trained)
    with stops("does not fit the model"):
        predict.main(trained=trained)


def test_a_missing_checkpoint_is_named(predict, scenes, stops):
    with stops("'nowhere.pth' are missing"):
        predict.main(trained="nowhere.pth")


def test_one_student_has_nobody_to_disagree_with(predict, weights, scenes, stops):
    with stops("compare two students; this model has one"):
        predict.main(
            "--disagreement",
            trained=weights(
                TOY, "MODEL.STUDENTS", "('local',)", "MODEL.META_ARCHITECTURE", "OnlySup"
            ),
        )
