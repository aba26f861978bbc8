"""tools/compare.py: one configuration's table, by the runner of co2s.engine.runner."""

import sys
from pathlib import Path

import pytest

from co2s.preparation.synthetic import write_synthetic_aerial

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs" / "quickstart.yaml")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "synthetic_aerial"
    return write_synthetic_aerial(folder, train_scenes=8, val_scenes=1, tile=48, demo_size=(48, 48))


@pytest.fixture
def compare(monkeypatch, load_script):
    """A function (*arguments) that calls the tool; `module` is it."""
    module = load_script(ROOT / "tools" / "compare.py")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["compare.py", "--config-file", CONFIG, *arguments])
        module.main()

    call.module = module
    return call


@pytest.fixture
def asked(compare, monkeypatch):
    """A function (*arguments) -> what the runner would be asked for."""
    found = []
    monkeypatch.setattr(compare.module, "run_bench", lambda *given: found.append(given))

    def call(*arguments):
        compare(*arguments)
        return found.pop()

    return call


def test_what_it_asks_for(asked):
    args, (group,), train = asked("--output", "o", "--jobs", "3", "--methods", "Co2S", "x:OnlySup")
    assert (args.methods, args.seeds, args.jobs) == (["Co2S", "x:OnlySup"], [0, 1, 2], 3)
    assert args.floors and not args.dry_run and args.ray is None
    assert (group.config_file, group.folder, group.table) == (
        CONFIG,
        Path("o"),
        Path("o/comparison"),
    )
    assert train == ROOT / "tools" / "train_net.py" and train.is_file()


@pytest.mark.parametrize("last", [["--seeds", "0", "1"], ["--methods", "A"], ["--jobs", "2"]])
def test_options_may_follow_any_argument(asked, last):
    args, _, _ = asked(*last, "SOLVER.MAX_ITER", "4", "SEEDS", "1")
    assert args.opts == ["SOLVER.MAX_ITER", "4", "SEEDS", "1"]


def test_keys_without_a_section_may_follow_the_seeds(asked):
    args, _, _ = asked("--seeds", "0", "1", "1", "CPU_MATMUL", "torch", "SOLVER.MAX_ITER", "4")
    assert args.seeds == [0, 1]
    assert args.opts == ["CPU_MATMUL", "torch", "SOLVER.MAX_ITER", "4"]
    assert asked("--ray", "--seeds", "3")[0].ray == "auto"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "SOLVER.MAX_ITER", "4"], "expected at least one argument"),
        (["--seeds", "one"], "--seeds needs whole numbers, found one"),
        (["--jobs", "-1"], "--jobs -1: give 1 or more"),
        (["--ray", "auto", "--jobs", "2"], "leave --jobs out"),
    ],
)
def test_arguments_that_cannot_be(asked, stops, arguments, words):
    with stops(words):
        asked(*arguments)


@pytest.mark.parametrize(
    ("methods", "opts", "words"),
    [
        (["Co2S", "co2s:OnlySup"], [], "'Co2S' and 'co2s' would share a folder"),
        (["Co2S"], ["SEED", "3"], "SEED is what --seeds sets here"),
        (["x:Co2S,OUTPUT_DIR=y"], [], "OUTPUT_DIR is what --output sets here"),
        (["Co2S"], ["DATASETS.TEST", "()"], "compared on DATASETS.TEST, which is empty"),
        (["MaskedImageModeling"], [], "learns from images alone and predicts no classes"),
        (["Nonsense"], [], "MODEL.META_ARCHITECTURE is 'Nonsense'"),
        (["Co2S"], ["SOLVER.MAX_ITERS", "3"], "SOLVER.MAX_ITER"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_starts(
    compare, stops, data, tmp_path, methods, opts, words
):
    arguments = ["--output", str(tmp_path / "o"), "--methods", *methods, "--seeds", "0"]
    with stops(words):
        compare(*arguments, *opts, "DATASETS.ROOT", str(data))
    assert not (tmp_path / "o").exists()
