"""Killed at random moments and resumed, ten times: the same run, bit for bit."""

import json
import random
import re
import signal

import pytest
import torch

from co2s.evaluation.metrics import read_metrics

KILLS = 10


@pytest.fixture
def config(toy_cfg, written):
    """A run of every hook: it saves, evaluates and writes at steps of their own."""
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.IMS_PER_BATCH = 8, 2
    toy_cfg.SOLVER.CHECKPOINT_PERIOD, toy_cfg.TEST.EVAL_PERIOD = 3, 5
    toy_cfg.TEST.PANELS = toy_cfg.TEST.SNAPSHOTS = 0
    toy_cfg.DATALOADER.NUM_WORKERS = 0
    # The deepest map is not the last block's: the last one would have no gradient.
    toy_cfg.MODEL.LOCAL.BACKBONE.DEPTH, toy_cfg.MODEL.LOCAL.BACKBONE.FEATURES = 3, [0, 0, 1]
    return written()


def calls(text):
    return int(re.search(r"^calls (\d+)$", text, re.MULTILINE)[1])


def endings(seed, whole):
    """Where each try is killed: at any call of a training, and while a checkpoint is written.

    whole: the calls of the whole run, by process.
    """
    rng = random.Random(seed)
    for number in range(KILLS):
        if number % 3 == 2:
            yield {"rank": 0, "since": "saving", "calls": rng.randint(1, 150), "do": "kill"}
        else:
            rank = rng.randrange(len(whole))
            number = rng.randint(1, whole[rank] // 5)
            yield {"rank": rank, "since": "start", "calls": number, "do": "kill"}


def losses(folder):
    return {n: series for n, series in read_metrics(str(folder)).items() if "loss" in n}


def same(a, b):
    """Whether two states are equal, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize(
    ("processes", "workers", "method", "calibrate"),
    [
        (1, 0, "Co2S", False),
        (1, 2, "OnlySup", True),
        (2, 0, "Co2S", False),
        (2, 2, "OnlySup", False),
    ],
)
def test_ten_kills_change_nothing(nursery, config, tmp_path, processes, workers, method, calibrate):
    command = ["--config-file", config, "DATALOADER.NUM_WORKERS", workers]
    command += ["MODEL.META_ARCHITECTURE", method, "TEST.CALIBRATE", calibrate]
    counting = {"rank": "any", "since": "start", "calls": 10**9, "do": "kill"}
    codes, said = nursery.run(tmp_path / "whole", *command, processes=processes, ending=counting)
    assert codes == [0] * processes, said[0][-3000:]
    killed = 0
    for ending in endings(10 * processes + workers, [calls(text) for text in said]):
        codes, said = nursery.run(
            tmp_path / "cut", "--resume", *command, processes=processes, ending=ending
        )
        assert None not in codes, "a process hangs without the other one"
        assert 1 not in codes, said
        killed += -signal.SIGKILL in codes
    assert killed >= KILLS - 2, "the last one or two may find nothing left to do"
    codes, said = nursery.run(tmp_path / "cut", "--resume", *command, processes=processes)
    assert codes == [0] * processes, said[0][-3000:]

    outs = [tmp_path / name / "out" for name in ("whole", "cut")]
    whole, cut = (torch.load(out / "model_final.pth", weights_only=True) for out in outs)
    assert same(whole["model"], cut["model"])
    assert same(whole["trainer"]["_trainer"], cut["trainer"]["_trainer"]), "the optimiser's state"
    whole, cut = (torch.load(out / "model_best.pth", weights_only=True) for out in outs)
    assert whole["score"] == cut["score"] and same(whole["model"], cut["model"])
    whole, cut = (json.loads((out / "report.json").read_text()) for out in outs)
    assert whole == cut
    assert losses(outs[0]) == losses(outs[1])
    assert len(losses(outs[0])["total_loss"][0]) == 2
    assert not list(outs[1].glob(".*.part"))
