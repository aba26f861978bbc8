"""The runner: what it starts, leaves, goes on with, passes on, and never starts twice."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from co2s.engine.runner import local, lock
from co2s.engine.runner.local import slots
from co2s.engine.runner.lock import Lock, is_held


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    from co2s.engine.runner import schedule

    monkeypatch.setattr(schedule, "POLL", 0.01)
    monkeypatch.setattr(schedule, "PATIENCE", 0.05)


def until(happened, seconds=30):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_cells_run_side_by_side_and_each_once(stubbed):
    bench = stubbed.bench("OnlySup", "Co2S", seeds=(0, 1))
    stubbed.prepare(bench, behaviour=lambda cell: "wait" if cell.cfg.SEED == 0 else "")
    (stubbed.prepared / "Co2S_seed0" / "go").touch()
    # OnlySup's first ends when the others have: on one slot nothing would get on.
    waits = stubbed.prepared / "OnlySup_seed0" / "go"
    through = lambda text: waits.touch() if text == "Co2S, seed 1: done" else None  # noqa: E731
    outcome = stubbed.run(bench, jobs=2, say=through)
    assert not outcome.failed
    names = [f"{method}_seed{seed}" for seed in (0, 1) for method in ("OnlySup", "Co2S")]
    assert sorted(stubbed.started()[:2]) == sorted(names[:2]) and stubbed.started()[2:] == names[2:]
    assert {words[3] for words in stubbed.log if words[1] == "start"} == {"1", "2"}, "environments"
    stubbed.run(stubbed.bench("OnlySup", "Co2S", seeds=(0, 1)), jobs=2)
    assert len(stubbed.started()) == 4, "what is through is not trained again"


def test_a_cell_that_fails_is_told_and_the_others_go_on(stubbed):
    bench = stubbed.bench("OnlySup", "Co2S", "FixMatch")
    stubbed.prepare(bench, behaviour=lambda cell: "fail" if cell.entry.method == "OnlySup" else "")
    outcome = stubbed.run(bench)
    (why,) = outcome.failed.values()
    assert why.startswith("stub: the disk is gone (exit code 2; see ")
    assert "OnlySup, seed 0" in outcome.failed
    assert stubbed.started() == ["OnlySup_seed0", "Co2S_seed0", "FixMatch_seed0"]
    assert stubbed.started("end") == ["Co2S_seed0", "FixMatch_seed0"]


def test_what_was_cut_goes_on(stubbed):
    bench = stubbed.bench("Co2S")
    stubbed.prepare(bench)
    folder = stubbed.output / "Co2S_seed0"
    folder.mkdir(parents=True)
    torch.save({}, folder / "model_0000001.pth")
    (folder / "last_checkpoint").write_text("model_0000001.pth")
    stubbed.run(bench)
    assert stubbed.started("resume") == ["Co2S_seed0"] and not stubbed.started()


def test_a_run_of_other_options_is_refused_by_name(stubbed):
    bench = stubbed.bench("Co2S")
    stubbed.prepare(bench)
    stubbed.run(bench)
    with pytest.raises(ValueError, match=r"MODEL.CO2S.THRESHOLD: 0.5 there, 0.4 here"):
        stubbed.bench("Co2S", opts=("MODEL.CO2S.THRESHOLD", "0.4"))
    stubbed.bench("Co2S", opts=("DATALOADER.NUM_WORKERS", "1"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_nothing_more_is_started(stubbed, number):
    bench = stubbed.bench("OnlySup", "Co2S", "FixMatch")
    stubbed.prepare(bench, behaviour=lambda cell: "wait")

    class Tells(local.LocalPool):
        told = False

        def ended(self):
            if len(stubbed.started()) == 2 and not self.told:
                self.told = True
                os.kill(os.getpid(), number)
            return super().ended()

    before = signal.getsignal(signal.SIGINT)
    outcome = stubbed.run(bench, pool=Tells([{}, {}]))
    assert outcome.stopped and not outcome.failed
    assert sorted(stubbed.started("saved")) == ["Co2S_seed0", "OnlySup_seed0"]
    assert len(stubbed.started()) == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_a_killed_runner_leaves_its_trainings_and_the_next_waits_for_them(stubbed, forked):
    bench = stubbed.bench("OnlySup", "Co2S")
    stubbed.prepare(bench, behaviour=lambda cell: "wait")
    first = forked(lambda: stubbed.run(bench))
    until(lambda: stubbed.started())
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    folder = stubbed.output / "OnlySup_seed0"
    assert is_held(folder), "by the training, which goes on"
    for name in ("OnlySup_seed0", "Co2S_seed0"):
        (stubbed.prepared / name / "behaviour").write_text("" if name[0] == "C" else "wait")
    go = stubbed.prepared / "OnlySup_seed0" / "go"
    waits = lambda text: go.touch() if "makes it; waiting" in text else None  # noqa: E731
    outcome = stubbed.run(bench, say=waits)
    assert not outcome.failed
    assert sorted(stubbed.started()) == ["Co2S_seed0", "OnlySup_seed0"], "each once"
    assert all(cell.job.is_done() for cell in bench.all_cells) and not is_held(folder)


def test_two_runners_share_the_work(stubbed, forked):
    bench = stubbed.bench("OnlySup", "Co2S", "FixMatch", seeds=(0, 1))
    stubbed.prepare(bench)
    pids = [forked(lambda: stubbed.run(bench, jobs=2)) for _ in range(2)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]
    assert len(stubbed.started()) == len({*stubbed.started()}) == 6
    assert (stubbed.output / "comparison.md").is_file()


def test_a_lock_of_another_host_is_no_one_s_to_break(stubbed, tmp_path, monkeypatch):
    bench = stubbed.bench("Co2S")
    stubbed.prepare(bench)
    own = Lock(stubbed.output / "Co2S_seed0")
    monkeypatch.setattr(lock.socket, "gethostname", lambda: "elsewhere")
    assert own.acquire()
    own._close()  # as where the disk does not tell
    monkeypatch.undo()
    assert is_held(stubbed.output / "Co2S_seed0")
    outcome = stubbed.run(bench)
    (why,) = outcome.failed.values()
    assert f"process {os.getpid()} on elsewhere makes this cell" in why and "remove the file" in why
    Path(own.path).unlink()
    assert not stubbed.run(bench).failed


def test_cells_are_dealt_out_over_the_gpus_and_the_cores_are_shared_out(stubbed, monkeypatch):
    cfg = stubbed.bench("Co2S").all_cells[0].cfg.clone()
    monkeypatch.setattr(local, "_cores", lambda: 12)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert slots(3, [cfg]) == [{"OMP_NUM_THREADS": "4"}] * 3
    cfg.defrost()
    cfg.MODEL.DEVICE = "cuda"
    assert slots(0, [cfg]) == [
        {"OMP_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": gpu} for gpu in "0123"
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots(1, [cfg])] == ["5"]
    dealt = slots(6, [cfg])
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in dealt] == ["5", "7"] * 3
    assert {slot["OMP_NUM_THREADS"] for slot in dealt} == {"2"}
