"""Products by oneDNN equal those of PyTorch's library, and are used only where asked for."""

import pytest
import torch
import torch.nn.functional as F

from co2s.layers import choose_products, onednn


@pytest.fixture(autouse=True)
def _back():
    yield
    choose_products("torch")


def products(monkeypatch):
    """How often oneDNN is asked."""
    calls = []
    real = onednn._pays
    monkeypatch.setattr(onednn, "_pays", lambda a, b: calls.append(real(a, b)) or calls[-1])
    return calls


@pytest.mark.parametrize("kind", ["plain", "transposed", "sliced", "expanded"])
def test_values_and_gradients(kind, monkeypatch):
    torch.manual_seed(0)
    make = {
        "plain": lambda: torch.randn(130, 96),
        "transposed": lambda: torch.randn(96, 130).t(),
        "sliced": lambda: torch.randn(130, 200)[:, 7:103],
        "expanded": lambda: torch.randn(1, 96).expand(130, 96),
    }
    x = make[kind]().requires_grad_()
    w, bias = torch.randn(128, 96, requires_grad=True), torch.randn(128, requires_grad=True)
    found = []
    for choice in ("torch", "onednn"):
        choose_products(choice)
        calls = products(monkeypatch)
        y = F.linear(x, w, bias) + x @ w.t()
        found.append([y, *torch.autograd.grad(y.square().sum(), [x, w, bias])])
        assert bool(calls) == (choice == "onednn") and all(calls)
        monkeypatch.undo()
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-5)


def test_the_rest_stays_pytorch_s(monkeypatch):
    choose_products("onednn")
    calls = products(monkeypatch)
    small, wide = torch.randn(3, 4), torch.randn(300, 300)
    assert torch.equal(small @ small.t(), small.matmul(small.t()))
    assert (wide.double() @ wide.double()).dtype is torch.float64
    bias = torch.randn(300, 300)
    expected = 2 * bias.double() + 3 * (wide.double() @ wide.double())
    found = torch.addmm(bias, wide, wide, beta=2, alpha=3)
    torch.testing.assert_close(found.double(), expected, atol=1e-2, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert (wide @ wide).dtype is torch.bfloat16
    assert not any(calls[:1])
    with pytest.raises(RuntimeError, match=r"shapes|size"):
        torch.mm(wide, small)


def test_choices(monkeypatch):
    monkeypatch.setattr(onednn, "_is_amd_with_avx512", lambda: True)
    assert choose_products("auto") and choose_products("auto")
    monkeypatch.setattr(onednn, "_is_amd_with_avx512", lambda: False)
    assert not choose_products("auto")
    with pytest.raises(ValueError, match="'mkl'; it may be auto, onednn, torch"):
        choose_products("mkl")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(ValueError, match="this PyTorch lacks"):
        choose_products("onednn")
