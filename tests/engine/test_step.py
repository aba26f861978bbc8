"""The training step: shared out over batches and processes, in any precision, it is one step."""

import json
from pathlib import Path

import pytest
import torch

from co2s.d2 import EventStorage
from co2s.engine import SemiSupervisedTrainer
from co2s.engine.step import Stepper
from co2s.structures import Views


@pytest.fixture
def cfg(toy_cfg, eager):
    eager(toy_cfg)
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.IMS_PER_BATCH = 4, 4
    for node in ("CO2S", "FIXMATCH", "UNIMATCH"):
        toy_cfg.MODEL[node].THRESHOLD = 0.5
    toy_cfg.MODEL.MUCA.ENTROPY = (0.9985, 0.9985)  # its teacher is certain of some pixels
    toy_cfg.TEST.PANELS, toy_cfg.TEST.CALIBRATE = 0, False
    return toy_cfg


def weights(folder):
    return torch.load(Path(folder, "model_final.pth"), weights_only=True)["model"]


class WithSGD(SemiSupervisedTrainer):
    """A rate times the gradient, so that weights differ by no more than gradients do."""

    @classmethod
    def build_optimizer(cls, cfg, model):
        return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)


# Their gradients are rounding alone, of which AdamW makes whole steps: a softmax does not see what
# all classes, or all keys of an attention, have in common.
UNSEEN = ("predict.bias", "in_proj_bias", "qkv.bias")


def assert_close(one, other, atol=1e-5, but=()):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if name.endswith(but):
            continue
        torch.testing.assert_close(value, other[name], atol=atol, rtol=0, msg=name)


# Of WSCL and U2PL the percentiles are of what passes together.
@pytest.mark.parametrize(
    "method",
    ["Co2S", "UniMatch", "FixMatch", "OnlySup", "UniMatchV2", "DWL", "MUCA", "RSMTDF"],
)
def test_two_batches_are_one_step(cfg, train, method):
    cfg.MODEL.META_ARCHITECTURE = method
    found = []
    for parts in (1, 2, 4):
        cfg.SOLVER.ACCUMULATE = parts
        cfg.OUTPUT_DIR += "_"
        trainer, _ = train(cfg, kind=WithSGD)
        losses = {k: h.values() for k, h in trainer.storage.histories().items() if "loss" in k}
        found.append((weights(cfg.OUTPUT_DIR), losses))
    for other, losses in found[1:]:
        assert_close(found[0][0], other)
        for name, series in found[0][1].items():
            values, others = ([v for v, _ in s] for s in (series, losses[name]))
            assert values == pytest.approx(others, abs=1e-5), name
    terms = {"Co2S": "stability", "UniMatchV2": "strong1", "DWL": "strong"}
    terms |= {"MUCA": "maps", "RSMTDF": "distill"}
    if method in terms:
        found = losses[f"loss_{terms[method]}_local"]
        assert found[-1][0] > 0, "an empty term proves nothing"


@pytest.mark.parametrize("method", ["Co2S", "DWL", "MUCA", "RSMTDF", "U2PL", "UniMatchV2", "WSCL"])
def test_two_processes_equal_one_with_two_batches(cfg, run_processes, method):
    cfg.MODEL.META_ARCHITECTURE, runs = method, []
    if method in ("U2PL", "WSCL"):
        cfg.SOLVER.IMS_PER_BATCH = 2  # so that the same items pass together
    for processes, parts in ((2, 1), (1, 2)):
        cfg.SOLVER.ACCUMULATE = parts
        output = run_processes(cfg, processes)
        runs.append((weights(cfg.OUTPUT_DIR), json.loads(output.read_text())["losses"]))
    assert_close(runs[0][0], runs[1][0], but=UNSEEN)
    for name, values in runs[0][1].items():
        assert values == pytest.approx(runs[1][1][name], abs=1e-5), name


def test_an_accumulating_run_resumes_exactly(cfg, train):
    cfg.SOLVER.ACCUMULATE = 2
    train(cfg)
    whole = weights(cfg.OUTPUT_DIR)
    cfg.OUTPUT_DIR += "_broken"
    train(cfg, steps=2)
    train(cfg, resume=True)
    assert_close(whole, weights(cfg.OUTPUT_DIR), atol=0)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_mixed_precision_trains_and_resumes(cfg, train, dtype):
    cfg.SOLVER.AMP.ENABLED, cfg.SOLVER.AMP.DTYPE = True, dtype
    trainer, _ = train(cfg)
    whole = weights(cfg.OUTPUT_DIR)
    assert all(value.dtype != torch.bfloat16 for value in whole.values())
    losses = trainer.storage.histories()["total_loss"].values()
    assert all(torch.isfinite(torch.tensor(value)) for value, _ in losses)
    assert ("grad_scaler" in trainer.state_dict()["_trainer"]) == (dtype == "fp16")
    cfg.OUTPUT_DIR += "_broken"
    train(cfg, steps=2)
    train(cfg, resume=True)
    assert_close(whole, weights(cfg.OUTPUT_DIR), atol=0)


def test_scaled_gradients_are_clipped_after_they_are_scaled_back(toy_cfg):
    """A scale of 2^16 must not reach the clipping of the optimiser's hook."""
    model = torch.nn.Linear(3, 1)
    model.count = None
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    seen = []
    optimizer.register_step_pre_hook(lambda o, *_: seen.append(model.weight.grad.abs().max()))
    wrapped = Losses(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    stepper = Stepper(wrapped, wrapped, [torch.ones(2, 3)] * 2, optimizer, scaler=scaler)
    with EventStorage(0) as stepper.storage:
        stepper.run_step()
    assert seen == [1.0]


class Losses(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        return {"loss": self.model(batch).mean()}


def test_what_no_batch_can_be_is_refused(cfg, train):
    cfg.SOLVER.ACCUMULATE = 3
    with pytest.raises(ValueError, match="IMS_PER_BATCH = 4 cannot be shared evenly by 1"):
        train(cfg)
    cfg.SOLVER.ACCUMULATE, cfg.DATALOADER.CUTMIX_PARTNER = 4, "rolled"
    with pytest.raises(ValueError, match='"rolled" is another image of the batch'):
        train(cfg)
    cfg.DATALOADER.CUTMIX_PARTNER = "previous"
    with pytest.raises(ValueError, match='"previous" needs steps of one batch'):
        train(cfg)


@pytest.mark.parametrize("partner", ["rolled", "previous"])
@pytest.mark.parametrize("method", ["Co2S", "FixMatch"])
def test_partners_that_cost_no_pass(cfg, train, method, partner):
    cfg.MODEL.META_ARCHITECTURE, cfg.DATALOADER.CUTMIX_PARTNER = method, partner
    cfg.INPUT.CUTMIX.PROB = 1.0
    trainer, _ = train(cfg)
    item = trainer._trainer.batches[0]["unlabeled"][0]
    assert "partner" not in item and item["cutmix"].any()


def test_who_draws_a_partner():
    assert [Views(1, True, p).draws_partner for p in ("other", "same", "rolled", "previous")] == [
        True,
        True,
        False,
        False,
    ]
