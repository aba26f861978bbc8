"""Checkpoints: what is saved, what is loaded, between both sources, and what is refused."""

import pickle

import pytest
import torch
from torch import nn


class Scheduler:
    """Anything with a state."""

    def __init__(self, value=0):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def equal(a, b):
    return all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())


@pytest.mark.parametrize(
    ("writer", "reader"), [("lite", "lite"), ("lite", "real"), ("real", "lite")]
)
def test_round_trip(request, writer, reader, tmp_path):
    writer, reader = request.getfixturevalue(writer), request.getfixturevalue(reader)
    model, optimizer = net(0), None
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.rand(4, 2)).sum().backward()
    optimizer.step()
    saver = writer.DetectionCheckpointer(
        model, str(tmp_path), optimizer=optimizer, scheduler=Scheduler(8)
    )
    saver.save("model_0000004", iteration=4)

    other = net(1)
    other_optimizer, scheduler = torch.optim.AdamW(other.parameters(), lr=0.5), Scheduler()
    loader = reader.DetectionCheckpointer(
        other, str(tmp_path), optimizer=other_optimizer, scheduler=scheduler
    )
    assert loader.path_manager is reader.PathManager
    assert loader.has_checkpoint()
    rest = loader.resume_or_load("", resume=True)
    assert rest == {"iteration": 4}
    assert equal(model, other)
    assert other_optimizer.param_groups[0]["lr"] == 0.1
    assert scheduler.value == 8


def test_without_resume_only_the_model_is_loaded(d2, tmp_path):
    d2.DetectionCheckpointer(net(0), str(tmp_path), scheduler=Scheduler(8)).save("weights")
    other, scheduler = net(1), Scheduler()
    loader = d2.DetectionCheckpointer(other, str(tmp_path), scheduler=scheduler)
    loader.resume_or_load(str(tmp_path / "weights.pth"), resume=False)
    assert equal(net(0), other)
    assert scheduler.value == 0


def test_nothing_to_load(d2, tmp_path):
    model = net(1)
    assert d2.DetectionCheckpointer(model, str(tmp_path)).resume_or_load("", resume=True) == {}
    assert equal(model, net(1))
    with pytest.raises(AssertionError, match="not found"):
        d2.DetectionCheckpointer(model).load(str(tmp_path / "nowhere.pth"))


def test_bare_state_dict_and_module_prefix(d2, tmp_path):
    state = {f"module.{name}": value for name, value in net(0).state_dict().items()}
    torch.save(state, tmp_path / "bare.pth")
    other = net(1)
    d2.DetectionCheckpointer(other).load(str(tmp_path / "bare.pth"))
    assert equal(net(0), other)


def test_save_to_disk(d2, tmp_path, monkeypatch):
    """Only the main process saves, unless told otherwise."""
    monkeypatch.setattr(d2.comm, "get_rank", lambda: 1)
    d2.DetectionCheckpointer(net(0), str(tmp_path)).save("x")
    assert not list(tmp_path.iterdir())
    d2.DetectionCheckpointer(net(0), str(tmp_path), save_to_disk=True).save("x")
    assert (tmp_path / "x.pth").exists()


@pytest.mark.parametrize("wrapper", [nn.DataParallel])
def test_wrapped_model(d2, tmp_path, wrapper):
    """DistributedDataParallel is in test_d2_launch: it needs a process group."""
    d2.DetectionCheckpointer(wrapper(net(0)), str(tmp_path)).save("x")
    assert set(torch.load(tmp_path / "x.pth", weights_only=True)["model"]) == {*net(0).state_dict()}


def test_mismatches_are_named(d2, tmp_path, log):
    state = net(0).state_dict()
    state["0.weight"] = torch.zeros(1, 1)
    state["extra.weight"] = state.pop("1.bias")
    torch.save({"model": state}, tmp_path / "odd.pth")
    d2.DetectionCheckpointer(net(1)).load(str(tmp_path / "odd.pth"))
    for name in ("0.weight", "extra", "1.bias"):
        assert name in log.text


def test_pixel_statistics_may_be_missing(d2, tmp_path, log, toy_model):
    """They come from the cfg."""
    model = toy_model()
    torch.save({"model": model.linear.state_dict(prefix="linear.")}, tmp_path / "x.pth")
    d2.DetectionCheckpointer(model).load(str(tmp_path / "x.pth"))
    assert "pixel_mean" not in log.text
    assert "not found in the checkpoint" not in log.text


def test_code_in_a_file_is_not_run(d2, tmp_path):
    class Attack:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"model": {}, "x": Attack()}, tmp_path / "x.pth")
    with pytest.raises(pickle.UnpicklingError, match=r"x\.pth|[Ww]eights.only"):
        d2.DetectionCheckpointer(net(0)).load(str(tmp_path / "x.pth"))


def test_refusals_say_why(lite, tmp_path):
    loader = lite.DetectionCheckpointer(net(0))
    (tmp_path / "x.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"model zoo files .* need detectron2"):
        loader.load(str(tmp_path / "x.pkl"))
    with pytest.raises(ValueError, match="name matching"):
        loader.load(str(tmp_path / "x.pth?matching_heuristics=True"))
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(pickle.UnpicklingError, match=r"cut\.pth': it is damaged"):
        loader.load(str(tmp_path / "cut.pth"))
