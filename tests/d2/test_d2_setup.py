"""The start of a run: command line, log, config.yaml, seeds."""

import logging
import os
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def loggers():
    """Handlers set up in a test end with it."""
    names = ("detectron2", "fvcore", "toy_log")
    before = {name: list(logging.getLogger(name).handlers) for name in names}
    yield
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = before[name], True


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


def test_seeds(d2, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    d2.seed_all_rng(5)
    first = draw()
    d2.seed_all_rng(5)
    assert draw() == first
    d2.seed_all_rng(6)
    assert draw() != first
    d2.seed_all_rng()
    assert draw() != first


def test_same_random_numbers(lite, real, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    drawn = []
    for d2 in (lite, real):
        d2.seed_all_rng(9)
        drawn.append((draw(), d2.comm.shared_random_seed()))
    assert drawn[0] == drawn[1]


def test_logger_writes_file_and_console(d2, tmp_path, capsys):
    folder = str(tmp_path / "deep" / "folder")
    logger = d2.setup_logger(folder, name="toy_log", color=False)
    assert d2.setup_logger(folder, name="toy_log", color=False) is logger
    logging.getLogger("toy_log.part").warning("hello")
    line = (tmp_path / "deep" / "folder" / "log.txt").read_text()
    assert line.count("\n") == 1
    assert line.endswith("] toy_log.part WARNING: hello\n")
    assert capsys.readouterr().out == line


def test_logger_colours_and_shortens(d2, capsys):
    d2.setup_logger(name="toy_log", abbrev_name="t")
    logging.getLogger("toy_log.part").info("one")
    logging.getLogger("toy_log.part").error("two")
    one, two = capsys.readouterr().out.splitlines()
    assert " t.part]: " in one
    assert one.endswith("one")
    assert "ERROR" in two


def test_file_keeps_the_full_name(lite, tmp_path):
    """detectron2 shortens it there too, because the console comes first."""
    lite.setup_logger(str(tmp_path), name="toy_log", abbrev_name="t")
    logging.getLogger("toy_log.part").info("one")
    assert "] toy_log.part INFO: one" in (tmp_path / "log.txt").read_text()


def test_logger_of_other_ranks(d2, tmp_path, capsys):
    file = str(tmp_path / "run.log")
    d2.setup_logger(file, 2, name="toy_log").info("from rank 2")
    assert "from rank 2" in (tmp_path / "run.log.rank2").read_text()
    assert capsys.readouterr().out == ""


def test_command_line(d2):
    args = d2.default_argument_parser().parse_args(
        ["--config-file", "a.yaml", "--eval-only", "--num-gpus", "2", "SEED", "3"]
    )
    assert (args.config_file, args.eval_only, args.resume, args.num_gpus) == (
        "a.yaml",
        True,
        False,
        2,
    )
    assert args.opts == ["SEED", "3"]
    assert d2.default_argument_parser("my words").format_help().endswith("my words\n")


def test_default_setup(d2, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    cfg = d2.get_cfg()
    cfg.OUTPUT_DIR = str(tmp_path / "out")
    cfg.SEED = 4
    cfg.CUDNN_BENCHMARK = True
    config_file = tmp_path / "given.yaml"
    config_file.write_text("SEED: 4 # as given")
    d2.default_setup(cfg, SimpleNamespace(config_file=str(config_file), eval_only=True))
    drawn = draw()
    assert not torch.backends.cudnn.benchmark  # evaluation
    d2.seed_all_rng(4)
    assert draw() == drawn
    again = d2.get_cfg()
    again.merge_from_file(os.path.join(cfg.OUTPUT_DIR, "config.yaml"))
    assert (again.SEED, again.OUTPUT_DIR) == (4, cfg.OUTPUT_DIR)
    log = (tmp_path / "out" / "log.txt").read_text()
    for part in ("World size: 1", "Environment info", "eval_only=True", "# as given", "saved to"):
        assert part in log
    d2.default_setup(cfg, SimpleNamespace())
    assert torch.backends.cudnn.benchmark


def test_default_writers(d2, tmp_path):
    writers = d2.default_writers(str(tmp_path / "new"), 5)
    names = [type(writer).__name__ for writer in writers]
    assert names == ["CommonMetricPrinter", "JSONWriter", "TensorboardXWriter"]
    assert (tmp_path / "new" / "metrics.json").exists()
    for writer in writers:
        writer.close()


def test_one_process_has_no_ddp(d2):
    model = torch.nn.Linear(1, 1)
    assert d2.create_ddp_model(model) is model


def test_one_process_talks_to_itself(d2):
    comm = d2.comm
    assert (comm.get_world_size(), comm.get_rank()) == (1, 0)
    assert (comm.get_local_size(), comm.get_local_rank()) == (1, 0)
    assert comm.is_main_process()
    comm.synchronize()
    assert comm.all_gather("x") == comm.gather("x") == ["x"]
    losses = {"a": torch.ones(())}
    assert comm.reduce_dict(losses) is losses
    with pytest.raises(AssertionError, match="launch"):
        comm.get_local_process_group()
