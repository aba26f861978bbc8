"""Precision, recomputation and compilation change neither names nor, but for rounding, values."""

from functools import partial

import pytest
import torch

from co2s.d2 import EventStorage, build_model
from co2s.modeling import execution
from co2s.modeling.execution import precisions, recompute


def step(cfg, batch):
    """Losses and gradients of a step, by name without wrappers."""
    torch.manual_seed(1)
    model = build_model(cfg).train()
    with EventStorage(5):
        losses = model(batch)
    sum(losses.values()).backward()
    grads = {
        name.replace("_checkpoint_wrapped_module.", ""): p.grad
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    return model, losses, grads


@pytest.mark.parametrize("what", ["mlp", "block"])
def test_recomputed_equals_kept(tiny_cfg, random_batch, what):
    tiny_cfg.MODEL.CO2S.THRESHOLD = 0.19
    batch = random_batch(batch=2, size=32, seed=3)
    plain, losses, grads = step(tiny_cfg, batch)
    kept = saved_bytes(plain, batch)
    tiny_cfg.MODEL.ACTIVATION_CHECKPOINTING = what
    ours, our_losses, our_grads = step(tiny_cfg, batch)
    assert ours.state_dict().keys() == plain.state_dict().keys()
    assert losses == our_losses
    assert grads.keys() == our_grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(grad, our_grads[name], atol=1e-7, rtol=1e-5, msg=name)
    assert saved_bytes(ours, batch) < 0.8 * kept
    ours.load_state_dict(plain.state_dict())


def saved_bytes(model, batch):
    """What the forward pass keeps for the backward pass; parameters do not count."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes = {}

    def pack(x):
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return x

    with EventStorage(5), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        losses = model(batch)
    del losses
    return sum(sizes.values())


def test_precision_of_parts(tiny_cfg, random_batch):
    seen = {}
    batch = random_batch(batch=1, size=32)
    for parts in (("backbone",), ("head",), ("backbone", "head")):
        tiny_cfg.SOLVER.AMP.ENABLED, tiny_cfg.SOLVER.AMP.PARTS = True, parts
        model = build_model(tiny_cfg)
        student = model.students["local"]
        for part in ("backbone", "head"):
            inner = next(m for m in getattr(student, part).modules() if hasattr(m, "weight"))
            inner.register_forward_hook(lambda m, i, o, part=part: seen.update({part: o.dtype}))
        with EventStorage(5):
            losses = model.train()(batch)
        assert all(loss.dtype is torch.float32 for loss in losses.values())
        for part in ("backbone", "head"):
            assert seen[part] is (torch.bfloat16 if part in parts else torch.float32), parts
        seen.clear()
        prob = model.eval()([{"image": batch["labeled"][0]["image"]}])[0]["sem_seg"]
        assert prob.dtype is torch.float32
        assert seen["backbone"] is (torch.bfloat16 if "backbone" in parts else torch.float32)


def test_unknown_values_are_refused(tiny_cfg):
    tiny_cfg.SOLVER.AMP.DTYPE = "int8"
    with pytest.raises(ValueError, match="DTYPE is 'int8'; it may be bf16, fp16"):
        precisions(tiny_cfg)
    tiny_cfg.SOLVER.AMP.DTYPE, tiny_cfg.SOLVER.AMP.PARTS = "bf16", ("neck",)
    with pytest.raises(ValueError, match="neck"):
        precisions(tiny_cfg)
    with pytest.raises(ValueError, match="'all'; it may be none, mlp, block"):
        recompute(torch.nn.Module(), "all")


def test_compiled_equals_eager_and_is_not_compiled_again(tiny_cfg, random_batch, monkeypatch):
    """Traced, with the plain backend: what a compiler would be given, and how often."""
    tiny_cfg.MODEL.CO2S.THRESHOLD = 0.19
    batches = [random_batch(batch=3, size=32, seed=seed) for seed in range(4)]
    for number, batch in enumerate(batches):  # items without a box change the partners' number
        for item in batch["unlabeled"][: number % 3]:
            item["cutmix"][:] = False
    _, losses, grads = step(tiny_cfg, batches[0])
    tiny_cfg.MODEL.COMPILE = True
    traced = partial(execution.compile_student, backend="eager")
    monkeypatch.setattr("co2s.modeling.student.compile_student", traced)
    torch._dynamo.reset()
    model, our_losses, our_grads = step(tiny_cfg, batches[0])
    for name, loss in losses.items():
        torch.testing.assert_close(loss, our_losses[name], atol=1e-6, rtol=1e-5)
    for name, grad in grads.items():
        torch.testing.assert_close(grad, our_grads[name], atol=1e-6, rtol=1e-4, msg=name)
    with EventStorage(5):
        for batch in batches:
            model(batch)
        before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        assert before > 0, "something is compiled"
        for batch in batches:
            model(batch)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before
