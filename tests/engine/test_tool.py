"""How tools end: one message and exit code 2 for what a user can mend, else a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from co2s.errors import is_mendable
from co2s.tool import tool

ROOT = Path(__file__).parents[2]


def caught(raising):
    try:
        raising()
    except Exception as error:
        return error


def wrong_value():
    from co2s.data import get_spec

    get_spec("nonsense")


def missing_file():
    Path("nowhere").read_text()


def fault():
    from co2s.semi import cosine_ramp

    cosine_ramp("a", "b")


def fault_of_a_meant_type():
    from co2s.data.reading import labels

    labels.color_codes(None)


def raised_elsewhere():
    raise ValueError("a test is no part of the project")


@pytest.mark.parametrize(
    ("raising", "mendable"),
    [
        (wrong_value, True),
        (missing_file, True),
        (fault, False),
        (fault_of_a_meant_type, False),
        (raised_elsewhere, False),
        (lambda: int("x"), False),
    ],
)
def test_which_errors_a_user_can_mend(raising, mendable):
    assert is_mendable(caught(raising)) == mendable


def test_a_tool_ends_with_one_message(capsys):
    with pytest.raises(SystemExit) as end:
        tool(missing_file)()
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("No such file or directory: 'nowhere'")
    with pytest.raises(TypeError):
        tool(fault)()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_damaged_image_stops_a_run_without_a_traceback(toy_cfg, toy, tmp_path, processes):
    for path in (toy / "train" / "images").iterdir():
        if path.name != "0.png":
            path.write_bytes(path.read_bytes()[:200])
    toy_cfg.DATALOADER.NUM_WORKERS = 1
    toy_cfg.DATASETS.SPECS = (str(tmp_path / "engine_toy.yaml"),)
    (tmp_path / "cfg.yaml").write_text(toy_cfg.dump())
    command = [ROOT / "tools/train_net.py", "--config-file", tmp_path / "cfg.yaml"]
    command += ["--num-gpus", processes, "--dist-url", "auto"]
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr[-3000:]
    assert any("train_net.py: " in x and ".png" in x for x in done.stderr.splitlines())
    assert "Traceback" not in done.stdout + done.stderr
