"""Scenes on a local Ray cluster of two workers."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from co2s.data.carried import Carried
from co2s.inference import ray_run
from co2s.inference.layers import Wanted
from co2s.inference.ray_run import Worker, predict_on_ray
from co2s.inference.run import Job, Predictor, predict_all
from co2s.inference.sources import Source
from tests.geo import write_raster

from .conftest import CLASSES

ray = pytest.importorskip("ray", reason="ray is an extra of its own")


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    # Workers need not find this file: another package on their path may be called `tests`.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.shutdown()


@pytest.fixture
def scenes(tmp_path):
    found = []
    for number in range(4):
        bands = np.random.default_rng(number).integers(0, 256, (3, 40, 50)).astype(np.uint8)
        found.append(Source(write_raster(tmp_path / f"s{number}.tif", bands), f"s{number}"))
    return found


@pytest.fixture
def job(weights, tmp_path):
    def make(output):
        trained = weights(Carried("toy", CLASSES))
        return Job("", trained, str(tmp_path / output), wanted=Wanted(("confidence",)))

    return make


class Dies(Worker):
    """Is killed in the middle of the third scene, once."""

    def predict(self, source):
        mark = Path(self._job.output).with_name("killed")
        if source.name == "s2" and not mark.exists():
            mark.touch()
            self._predictor = Predictor(self._job)
            self._predictor.predict(source, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        return super().predict(source)


def pixels(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.tif")}


def test_it_makes_the_same_maps_and_a_lost_worker_loses_nothing(
    cluster, job, scenes, tmp_path, monkeypatch, log
):
    alone = predict_all(Predictor(job("alone")), scenes)
    monkeypatch.setattr(ray_run, "Worker", Dies)
    many = predict_on_ray(job("many"), scenes)
    assert (tmp_path / "killed").exists()
    assert "A worker was lost with" in log.text
    assert alone == many
    assert many.made == 4
    assert len(pixels(tmp_path / "alone")) == 8
    assert pixels(tmp_path / "alone") == pixels(tmp_path / "many")
    assert not [*(tmp_path / "many").glob(".*")]
    again = predict_on_ray(job("many"), scenes)
    assert (again.made, again.left) == (0, 4)


def test_a_bad_scene_is_listed_and_bad_weights_end_the_run(cluster, job, scenes, tmp_path):
    Path(scenes[1].path).write_bytes(b"II*\0 torn")
    outcome = predict_on_ray(job("many"), scenes[:2])
    assert outcome.made == 1
    assert [*outcome.failed] == [scenes[1].path]
    other = Job("", str(tmp_path / "nowhere.pth"), str(tmp_path / "none"))
    with pytest.raises(ValueError, match=r"nowhere\.pth' are missing"):
        predict_on_ray(other, scenes[:1])


def test_a_scene_that_kills_every_worker_is_given_up(cluster, job, scenes, monkeypatch):
    class Always(Worker):
        def predict(self, source):
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(ray_run, "Worker", Always)
    monkeypatch.setattr(ray_run, "TRIES", 2)
    outcome = predict_on_ray(job("dead"), scenes[:1])
    assert outcome.made == 0
    assert "lost 2 times" in outcome.failed[scenes[0].path]
