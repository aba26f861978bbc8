"""A GPU computes what the CPU does, in a step, a run and a prediction: `make test-gpu`."""

import json
import math
from pathlib import Path

import pytest
import torch

from co2s.d2 import DetectionCheckpointer, EventStorage, build_model

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU, or hidden: `make test-gpu` asks for it"
)


@pytest.fixture(autouse=True)
def whole_float32(monkeypatch):
    """No TF32 in convolutions, which PyTorch allows by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def step(cfg, batch, device):
    """Losses and gradients of one step of a model that starts the same on every device."""
    cfg.MODEL.DEVICE = "cpu"
    torch.manual_seed(0)
    model = build_model(cfg).train().to(device)
    with EventStorage(0):
        losses = model(batch)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(sum(losses.values()), [*trained.values()])
    model.after_step(0)
    found = losses | dict(zip(trained, gradients, strict=True))
    return {name: value.detach().cpu() for name, value in found.items()}


def test_a_step_has_the_cpu_s_losses_and_gradients(tiny_cfg, eager, method_batch, any_method):
    tiny_cfg.MODEL.META_ARCHITECTURE, tiny_cfg.MODEL.EMA_DECAY = any_method, 0.9
    eager(tiny_cfg)
    tiny_cfg.MODEL.MUCA.NOISE = 0.0  # drawn on the device, which has numbers of its own
    batch = method_batch(tiny_cfg)
    expected, found = (step(tiny_cfg, batch, device) for device in ("cpu", "cuda"))
    # The last bias, which softmax cannot see, has rounding alone; signs flip in absolute errors.
    norms = [value.norm() for name, value in expected.items() if name.startswith("students.")]
    noise = 1e-4 * torch.stack(norms).max()
    for name, value in expected.items():
        error = (found[name] - value).norm()
        assert error < 1e-2 * value.norm() + noise, f"{name}: {error:.1e} of {value.norm():.1e}"


@pytest.mark.parametrize("dtype", ["", "bf16", "fp16"])
def test_a_run_trains_scores_and_is_resumed(toy_cfg, train, no_pictures, dtype):
    toy_cfg.MODEL.DEVICE, toy_cfg.MODEL.EMA_DECAY = "cuda", 0.9
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.TEST.EVAL_PERIOD = 20, 20
    if dtype:
        toy_cfg.SOLVER.AMP.ENABLED, toy_cfg.SOLVER.AMP.DTYPE = True, dtype
    train(toy_cfg, steps=10)
    trainer, results = train(toy_cfg, resume=True)
    assert trainer.start_iter == 10 and trainer.method.device.type == "cuda"
    losses = [h.values() for name, h in trainer.storage.histories().items() if "loss" in name]
    assert losses and all(math.isfinite(value) for history in losses for value, _ in history)
    assert results["sem_seg"]["mIoU"] > 0
    facts = json.loads(Path(toy_cfg.OUTPUT_DIR, "facts.json").read_text())
    assert facts["peak_memory"]["gpu"] > 0 and torch.cuda.get_device_name() == facts["device"]


def test_a_model_of_the_gpu_predicts_the_same_on_the_cpu(tiny_cfg, tmp_path):
    tiny_cfg.MODEL.DEVICE = "cuda"
    model = build_model(tiny_cfg).eval()
    DetectionCheckpointer(model, str(tmp_path)).save("weights")
    tiny_cfg.MODEL.DEVICE = "cpu"
    other = build_model(tiny_cfg).eval()
    DetectionCheckpointer(other).load(str(tmp_path / "weights.pth"))
    items = [{"image": torch.randint(0, 256, (3, 70, 90)).byte(), "height": 35, "width": 45}]
    for name, probs in other(items)[0].items():
        torch.testing.assert_close(model(items)[0][name].cpu(), probs, atol=1e-4, rtol=1e-3)
