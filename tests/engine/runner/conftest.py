"""A comparison on the toy dataset whose trainings are stubs: what they reach is prepared."""

import json
import os
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from co2s.engine.report import options
from co2s.engine.runner import Group
from co2s.engine.runner.bench import Bench
from co2s.engine.runner.local import LocalPool
from co2s.engine.runner.schedule import Schedule
from co2s.evaluation.bootstrap import mean_iou
from co2s.evaluation.per_image import filled_cells, write_per_image

STUB = Path(__file__).with_name("stub.py")
VAL = "engine_toy_val"


class Stubbed:
    """A bench, what its cells shall reach, and what they did."""

    def __init__(self, config, folder):
        self.config, self.output = config, folder / "runs"
        self.prepared = config.parent / "prepared"

    def bench(self, *methods, seeds=(0,), opts=(), floors=False, **group):
        args = Namespace(methods=[*methods], seeds=[*seeds], opts=[*opts], floors=floors)
        own = Group("", str(self.config), self.output, self.output / "comparison", **group)
        return Bench(args, [own], STUB)

    def prepare(self, bench, reach=lambda cell: 0.5, behaviour=None):
        """reach(cell): which share of the pixels of a 20 x 5 image is right, or one for each of
        three images."""
        for cell in bench.all_cells:
            folder = self.prepared / Path(cell.cfg.OUTPUT_DIR).name
            write_run(folder, cell.cfg, reach(cell))
            if behaviour:
                (folder / "behaviour").write_text(behaviour(cell))

    def run(self, bench, jobs=1, pool=None, say=lambda text: None):
        pool = pool or LocalPool([{"OMP_NUM_THREADS": str(i + 1)} for i in range(jobs)])
        done = lambda job: bench.write(bench.owners[job.name])  # noqa: E731
        jobs = [cell.job for cell in bench.all_cells if not cell.job.is_done()]
        return Schedule(pool, say, done).run(jobs)

    @property
    def log(self):
        path = self.prepared / "log"
        return [line.split() for line in path.read_text().splitlines()] if path.is_file() else []

    def started(self, kind="start"):
        return [words[0] for words in self.log if words[1] == kind]


def write_run(folder, cfg, shares):
    """What a run leaves behind: report, facts, scores and matrices of three images."""
    shares = shares if isinstance(shares, tuple) else (shares,) * 3
    matrices = np.stack([[[round(100 * s), 100 - round(100 * s)], [0, 0]] for s in shares])
    place = folder / "inference" / VAL
    place.mkdir(parents=True)
    main = "fused" if cfg.MODEL.META_ARCHITECTURE == "Co2S" else "local"
    write_per_image(place, "abc", {main: [filled_cells(m) for m in matrices]}, 2)
    (place / "scores.json").write_text(json.dumps({"main": main}))
    score = {"mIoU": float(mean_iou(matrices.sum(0)))}
    facts = {"sessions": [{"seconds": 1800.0}, {"seconds": 1800.0}], "peak_memory": {"main": 2048}}
    (folder / "facts.json").write_text(json.dumps(facts))
    scores = {VAL: {main: score, "sem_seg": score}}
    report = {"scores": scores, "options": options(cfg), "steps": cfg.SOLVER.MAX_ITER}
    (folder / "report.json").write_text(json.dumps(report))


@pytest.fixture
def stubbed(written, tmp_path):
    return Stubbed(written(), tmp_path)


@pytest.fixture
def forked():
    """A function (function) that calls it in a process of its own, and gives its pid."""
    pids = []

    def start(function):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                function()
                code = 0
            except SystemExit as end:
                code = end.code
            finally:
                sys.stdout.flush()
                os._exit(code)
        pids.append(pid)
        return pid

    return start
