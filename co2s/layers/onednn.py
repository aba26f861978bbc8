"""Matrix products in float32 by oneDNN, on CPUs where PyTorch's own are slower.

PyTorch multiplies by MKL, which keeps to AVX2 on AMD's CPUs; oneDNN, which PyTorch brings for its
convolutions, takes AVX-512 there. Both are float32 throughout.
"""

import platform
import warnings
from pathlib import Path

import torch
from torch import Tensor

CHOICES = ("auto", "onednn", "torch")
WORTH = 1 << 20  # multiplications from which on the call pays

_library: torch.library.Library | None = None


def choose_products(choice: str) -> bool:
    """Let oneDNN ("onednn"), or PyTorch's library ("torch"), multiply matrices in this process.

    "auto" takes oneDNN on AMD's CPUs with AVX-512. Returns whether oneDNN is in use. ValueError for
    another choice, or where this PyTorch has no oneDNN.
    """
    if choice not in CHOICES:
        raise ValueError(f"CPU_MATMUL is '{choice}'; it may be {', '.join(CHOICES)}.")
    has = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    if choice == "onednn" and not has:
        raise ValueError("CPU_MATMUL is 'onednn', which this PyTorch lacks. Set it to 'torch'.")
    wanted = choice == "onednn" or (choice == "auto" and has and _is_amd_with_avx512())
    _use(wanted)
    return wanted


def _use(on: bool) -> None:
    global _library
    if on == (_library is not None):
        return
    if not on:
        assert _library is not None
        _library._destroy()
        _library = None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a kernel is replaced, which is meant
        _library = torch.library.Library("aten", "IMPL")
        _library.impl("mm", _mm, "CPU")
        _library.impl("addmm", _addmm, "CPU")


def _mm(a: Tensor, b: Tensor) -> Tensor:
    if _pays(a, b):
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return torch.ops.aten.mm.out(a, b, out=a.new_empty(a.shape[0], b.shape[1]))


def _addmm(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    plain = beta == 1 and alpha == 1 and bias.shape == b.shape[1:] and bias.dtype == a.dtype
    if plain and _pays(a, b):
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")
    out = a.new_empty(a.shape[0], b.shape[1])
    return torch.ops.aten.addmm.out(bias, a, b, beta=beta, alpha=alpha, out=out)


def _pays(a: Tensor, b: Tensor) -> bool:
    same = a.dtype is b.dtype is torch.float32
    return same and a.layout is b.layout is torch.strided and a.numel() * b.shape[1] >= WORTH


def _is_amd_with_avx512() -> bool:
    info = Path("/proc/cpuinfo")
    vendor = info.read_text(errors="replace") if info.is_file() else platform.processor()
    return "AuthenticAMD" in vendor and torch.backends.cpu.get_cpu_capability() == "AVX512"
