"""A tiny dataset on disk, and a configuration that trains on it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from co2s.d2 import seed_all_rng
from co2s.data import register_spec_file, set_root
from co2s.engine import SemiSupervisedTrainer

SPEC = """
name: engine_toy
root: engine_toy
classes:
  - {name: dark, color: [0, 0, 0], concepts: [shadow]}
  - {name: light, color: [255, 255, 255], concepts: [snow]}
labels: {encoding: index}
layout: {images: "{set}/images/{number}.png", labels: "{set}/labels/{number}.png"}
splits: {fractions: ["1_4"], train: {set: [train]}, val: {set: [val]}}
"""


@pytest.fixture
def toy(tmp_path):
    """The root of 16 training and 3 validation images of 40 x 40: dark left, light right."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 16), ("val", 3)):
        for folder in ("images", "labels"):
            (tmp_path / "toy" / part / folder).mkdir(parents=True)
        for i in range(count):
            label = np.zeros((40, 40), np.uint8)
            label[:, int(rng.integers(10, 30)) :] = 1
            image = 60 + 120 * label[..., None] + rng.integers(0, 40, (40, 40, 3))
            cv2.imwrite(str(tmp_path / "toy" / part / "images" / f"{i}.png"), image)
            cv2.imwrite(str(tmp_path / "toy" / part / "labels" / f"{i}.png"), label)
    spec = tmp_path / "engine_toy.yaml"
    spec.write_text(SPEC)
    register_spec_file(spec)
    set_root("engine_toy", tmp_path / "toy")
    return tmp_path / "toy"


@pytest.fixture
def toy_cfg(tiny_cfg, toy, tmp_path):
    cfg = tiny_cfg
    cfg.DATASETS.ROOT = str(toy)
    cfg.DATASETS.LABELED = ("engine_toy_1_4_labeled",)
    cfg.DATASETS.UNLABELED = ("engine_toy_1_4_unlabeled",)
    cfg.DATASETS.TEST = ("engine_toy_val",)
    cfg.MODEL.NUM_CLASSES = 0
    cfg.MODEL.CO2S.THRESHOLD = 0.5
    for student in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL):
        student.BACKBONE.TRAINABLE = [""]
        student.HEAD.DIM = 16
        student.HEAD.UP_DIMS = (16, 8)
    cfg.INPUT.RESIZE = "none"
    cfg.INPUT.CROP_SIZE = 16
    cfg.MODEL.GLOBAL.BACKBONE.IMAGE_SIZE = 16
    cfg.SOLVER.MAX_ITER = 6
    cfg.SOLVER.BASE_LR = 1e-3
    cfg.SOLVER.BACKBONE_MULTIPLIER = cfg.SOLVER.HEAD_MULTIPLIER = 1.0
    cfg.SOLVER.CHECKPOINT_PERIOD = 2
    cfg.TEST.EVAL_PERIOD = 0
    cfg.TEST.PANELS = 1
    cfg.SEED = 1
    cfg.OUTPUT_DIR = str(tmp_path / "out")
    return cfg


@pytest.fixture
def no_pictures(toy_cfg, monkeypatch):
    """Runs draw nothing: the pictures take longer than the steps."""
    from co2s.engine import trainer

    toy_cfg.TEST.PANELS = toy_cfg.TEST.SNAPSHOTS = 0
    monkeypatch.setattr(trainer, "write_run_pictures", lambda folder: None)
    monkeypatch.setattr(trainer, "draw_page", lambda cfg: None)


@pytest.fixture
def train(complete):
    """A function that trains on a configuration: (trainer, results)."""

    def run(cfg, *, steps=None, resume=False, kind=SemiSupervisedTrainer):
        """steps: to stop after; kind: the trainer's class."""
        cfg = complete(cfg, training=True, resume=resume)
        seed_all_rng(cfg.SEED)
        Path(cfg.OUTPUT_DIR).mkdir(exist_ok=True)
        trainer = kind(cfg, resume=resume)
        trainer.resume_or_load(resume=resume)
        if steps:
            trainer.max_iter = steps
        results = trainer.train()
        return trainer, results

    return run


class Nursery:
    """A warm process whose forks run tools/train_net.py (see nursery.py)."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def run(self, folder, *argv, processes=1, **more):
        """(exit codes, what each process said) of a run in `folder`."""
        folder.mkdir(exist_ok=True)
        request = {"folder": str(folder), "argv": [str(x) for x in argv], "processes": processes}
        request |= {"file": str(folder / "said"), **more}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["codes"], answer["said"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="session")
def nursery():
    warm = Nursery()
    yield warm
    warm.end()


@pytest.fixture
def written(toy_cfg, complete, tmp_path):
    """A function () that writes toy_cfg as a user's file, OUTPUT_DIR `out`, and gives its path."""

    def write():
        toy_cfg.DATASETS.SPECS = (str(tmp_path / "engine_toy.yaml"),)
        toy_cfg.OUTPUT_DIR = "out"
        complete(toy_cfg)
        return tmp_path / "given.yaml"

    return write


@pytest.fixture
def run_processes(tmp_path):
    """A function (cfg, processes) that runs losses_of_a_run.py into `out<processes>`: its file."""

    def run(cfg, processes):
        cfg.OUTPUT_DIR = str(tmp_path / f"out{processes}")
        config, output = tmp_path / f"{processes}.yaml", tmp_path / f"{processes}.json"
        config.write_text(cfg.dump())
        script = Path(__file__).with_name("losses_of_a_run.py")
        command = [sys.executable, script, config, tmp_path / "engine_toy.yaml", processes, output]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(x) for x in command], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return output

    return run


class Killed(Exception):
    pass


@pytest.fixture
def scripted():
    """A trainer that finds these mIoU one after another, and is killed (`Killed`) where it says."""

    def make(scores, kill_before=None, kill_at_evaluation=None):
        class Scripted(SemiSupervisedTrainer):
            found: ClassVar = []

            @classmethod
            def test(cls, cfg, model, datasets=(), panels=0):
                if len(cls.found) == kill_at_evaluation:
                    raise Killed
                if panels:  # the final report
                    return {"sem_seg": {"mIoU": -1.0}}
                cls.found.append(scores[len(cls.found)])
                return {"sem_seg": {"mIoU": cls.found[-1]}}

            def run_step(self):
                if self.iter == kill_before:
                    raise Killed
                super().run_step()

        return Scripted

    make.Killed = Killed
    return make
