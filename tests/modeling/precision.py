"""What holds for the losses of a method in mixed precision."""

import torch


def check_mixed_precision(cfg, build, losses_of, batch, parts):
    """Losses are float32 and near those of float32, and every parameter that learns gets a
    gradient. build(cfg) -> model, losses_of(model, batch) -> losses by name."""
    plain = losses_of(build(cfg), batch)
    cfg.SOLVER.AMP.ENABLED, cfg.SOLVER.AMP.PARTS = True, parts
    model = build(cfg)
    losses = losses_of(model, batch)
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, plain[name], atol=0.05, rtol=0.1)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
