"""Files of tensors: what loads, what is refused, and the words in which that is said."""

import argparse

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from co2s.modeling.weights import WeightsError, file_digest, load_strictly, local_file, read_tensors
from co2s.modeling.weights.hub import fetch

from .formats import Malicious, Scripted


def test_every_kind_of_file_gives_the_same_tensors(tmp_path):
    state = {"a.b": torch.randn(3, 4), "c": torch.randn(5).half(), "a.n": torch.arange(3)}
    torch.save(state, tmp_path / "x.pth")
    torch.save(state, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "x.safetensors")
    torch.jit.save(torch.jit.trace(Scripted(state), torch.ones(1)), tmp_path / "x.pt")
    for name in ("x.pth", "legacy.pth", "x.safetensors", "x.pt"):
        found = read_tensors(tmp_path / name)
        assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in state.items()}
        assert all(torch.equal(found[k], v) for k, v in state.items()), name


def test_views_and_strides_of_a_torchscript_archive(tmp_path):
    whole = torch.randn(4, 6)
    state = {"t": whole.T, "row": whole[2], "part": whole[1:3, 2:5]}
    torch.jit.save(torch.jit.trace(Scripted(state), torch.ones(1)), tmp_path / "x.pt")
    found = read_tensors(tmp_path / "x.pt")
    assert all(torch.equal(found[k], v) for k, v in state.items())


def test_settings_beside_the_tensors_do_no_harm(tmp_path):
    content = {"model": {"w": torch.ones(2)}, "args": argparse.Namespace(lr=0.1), "epoch": 3}
    torch.save(content, tmp_path / "x.pth")
    assert torch.equal(read_tensors(tmp_path / "x.pth")["model"]["w"], torch.ones(2))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_by_name(tmp_path, capsys, zipped):
    path = tmp_path / "evil.pth"
    torch.save({"w": torch.ones(2), "x": Malicious()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"evil\.pth' are refused.*print"):
        read_tensors(path)
    assert "never" not in capsys.readouterr().out


def test_torchscript_with_a_foreign_class_is_refused(tmp_path):
    import zipfile

    torch.jit.save(
        torch.jit.trace(Scripted({"w": torch.ones(2)}), torch.ones(1)), tmp_path / "a.pt"
    )
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("/data.pkl"):
                data = b"cposix\nsystem\n(Vtrue\ntR."
            new.writestr(name, data)
    with pytest.raises(WeightsError, match=r"b\.pt' are refused.*posix\.system"):
        read_tensors(tmp_path / "b.pt")


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors", "x.pt"])
def test_a_truncated_file_is_named(tmp_path, name):
    state, path = {"w": torch.randn(400, 50)}, tmp_path / name
    if name.endswith(".safetensors"):
        save_file(state, path)
    elif name.endswith(".pt"):
        torch.jit.save(torch.jit.trace(Scripted(state), torch.ones(1)), path)
    else:
        torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(WeightsError, match=rf"{name}' \(0\.1 MB\).*truncated or damaged"):
        read_tensors(path)


def test_no_tensors_in_it(tmp_path):
    (tmp_path / "x.pth").write_text("version https://git-lfs\n")
    with pytest.raises(WeightsError, match="not a file of tensors"):
        read_tensors(tmp_path / "x.pth")
    torch.save(torch.ones(3), tmp_path / "y.pth")
    with pytest.raises(WeightsError, match="hold a Tensor"):
        read_tensors(tmp_path / "y.pth")


def test_digest(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "x.pth")
    digest = file_digest(tmp_path / "x.pth")
    assert len(digest) == 64 and read_tensors(tmp_path / "x.pth", digest.upper())
    with pytest.raises(WeightsError, match=f"SHA-256 {digest}, but {'0' * 64} is asked for"):
        read_tensors(tmp_path / "x.pth", "0" * 64)


def test_a_path_is_not_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local_file("lvd1689m") is None and local_file("vit_base.lvd1689m") is None
    (tmp_path / "lvd1689m").write_text("")
    assert local_file("lvd1689m").name == "lvd1689m"
    for path in ("folder/name", "x.pth", "x.safetensors"):
        with pytest.raises(FileNotFoundError, match=f"{path}': no such file, seen from"):
            local_file(path)


def test_strict_loading_lists_what_differs_and_changes_nothing():
    module = nn.Linear(3, 2)
    before = module.weight.clone()
    with pytest.raises(WeightsError) as error:
        load_strictly(module, {"weight": torch.ones(2, 4), "extra": torch.ones(1)}, "'x.pth'")
    words = str(error.value)
    assert "'x.pth' do not fit" in words and "1 missing: bias (2,)" in words
    assert "1 unexpected: extra (1,)" in words
    assert "weight (2, 4), the model's is (2, 3)" in words
    assert torch.equal(module.weight, before)


def test_the_cache_is_asked_before_the_network(monkeypatch, tmp_path):
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = []

    def download(repository, name, local_files_only=False):
        asked.append((name, local_files_only))
        if name == "b" and local_files_only:
            return str(tmp_path / "b")
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr("co2s.modeling.weights.hub.hf_hub_download", download)
    assert fetch("r/m", ["a", "b"], "") == tmp_path / "b"
    assert asked == [("a", True), ("b", True)]
    with pytest.raises(WeightsError, match=r"Cannot get a of r/m: .*cannot be reached\. Do this"):
        fetch("r/m", ["a"], "Do this")


def test_gated_weights_are_called_gated(monkeypatch):
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError

    def download(repository, name, local_files_only=False):
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        raise GatedRepoError.__new__(GatedRepoError)  # its signature differs between versions

    monkeypatch.setattr("co2s.modeling.weights.hub.hf_hub_download", download)
    with pytest.raises(WeightsError, match="gated"):
        fetch("r/m", ["a"], "")
