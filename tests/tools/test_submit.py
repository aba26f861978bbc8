"""Submitting to Slurm: the command of each node, and a job that saves and asks for more time."""

import signal
import sys
import textwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from co2s.tool import STOPPED

TOOL = Path(__file__).parents[2] / "tools" / "submit.py"


@pytest.fixture(scope="module")
def submit(load_script):
    """tools/submit.py"""
    return load_script(TOOL)


@pytest.fixture
def submitit(monkeypatch):
    """A stand-in for submitit: second of two nodes, and what an executor is told."""
    module = ModuleType("submitit")
    module.JobEnvironment = lambda: SimpleNamespace(
        job_id="10003", global_rank=1, hostnames=["node7", "node8"]
    )
    module.helpers = SimpleNamespace(DelayedSubmission=lambda training: ("again", training))
    module.told = {}

    class Executor:
        def __init__(self, folder, **options):
            module.told |= {"folder": folder, **options}

        update_parameters = staticmethod(lambda **given: module.told.update(given))

        def submit(self, training):
            module.told["training"] = training
            return SimpleNamespace(job_id="17", paths=SimpleNamespace(stdout="out.log"))

    module.AutoExecutor = Executor
    monkeypatch.setitem(sys.modules, "submitit", module)
    return module


@pytest.fixture
def script(tmp_path):
    """A training of no time: told to stop, it writes so and ends as train_net.py does."""

    def write(body):
        path = tmp_path / "train.py"
        path.write_text(textwrap.dedent(body))
        return path

    return write


def test_each_node_knows_the_others(submit, submitit):
    one = submit.Training(["--config-file", "x.yaml"], 1, 1).command()
    assert one[1:] == [str(submit.TRAIN), "--resume", "--num-gpus", "1", "--config-file", "x.yaml"]
    assert "auto" in submit.Training([], 1, 4).command()
    two = submit.Training([], 2, 4).command()
    assert two[2:] == [
        *("--resume", "--num-gpus", "4", "--num-machines", "2", "--machine-rank", "1"),
        *("--dist-url", "tcp://node7:20003"),
    ]


def once_begun(path):
    """In place of time.sleep: raises the signal as soon as there is a file."""
    told = []

    def sleep(seconds):
        if path.exists() and not told:
            told.append(True)
            signal.raise_signal(signal.SIGALRM)

    return sleep


def test_a_job_whose_time_is_up_saves_and_is_requeued(
    submit, submitit, script, tmp_path, monkeypatch
):
    train = script(f"""
        import signal, sys
        def stop(number, frame):
            open({str(tmp_path / "saved")!r}, "w").close()
            sys.exit({STOPPED})
        signal.signal(signal.SIGTERM, stop)
        open({str(tmp_path / "begun")!r}, "w").close()
        signal.pause()
    """)
    training, said = submit.Training([], 1, 1, train), []
    # submitit calls it from a signal handler, while the training is waited for.
    before = signal.signal(signal.SIGALRM, lambda *_: said.append(training.checkpoint()))
    monkeypatch.setattr(submit.time, "sleep", once_begun(tmp_path / "begun"))
    try:
        assert training() == STOPPED and (tmp_path / "saved").exists()
    finally:
        signal.signal(signal.SIGALRM, before)
    ((word, again),) = said
    assert word == "again" and again.command() == training.command() and again.process is None


def test_a_training_that_fails_is_a_failed_job(submit, submitit, script):
    assert submit.Training([], 1, 1, script("")).__call__() == 0
    with pytest.raises(RuntimeError, match="ended with exit code 2"):
        submit.Training([], 1, 1, script("raise SystemExit(2)"))()


def test_what_the_executor_is_told(submit, submitit, monkeypatch, capsys):
    options = ["--nodes", "2", "--gpus", "4", "--hours", "1.5", "--partition", "a100"]
    monkeypatch.setattr(sys, "argv", ["submit.py", *options, "--", "--config-file", "x.yaml"])
    submit.main()
    told = submitit.told
    assert told["nodes"] == 2 and told["gpus_per_node"] == 4 and told["tasks_per_node"] == 1
    assert told["timeout_min"] == 90 and told["slurm_partition"] == "a100"
    assert told["cpus_per_task"] == 32 and told["slurm_signal_delay_s"] == 120
    assert told["training"].arguments == ["--config-file", "x.yaml"]
    assert "Job 17" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--", "--resume"], ["--", "--num-gpus", "2"]])
def test_what_it_decides_itself_is_refused(submit, monkeypatch, stops, arguments):
    monkeypatch.setattr(sys, "argv", ["submit.py", *arguments])
    with stops("without --num-gpus"):
        submit.main()
