"""The training loop: a toy run, resuming it, losses that are not finite, mixed precision."""

import pytest
import torch


def losses(metrics):
    """The values that do not depend on the clock."""
    clock = {"time", "data_time", "rank_data_time", "eta_seconds"}
    return {
        iteration: {name: value for name, value in entry.items() if name not in clock}
        for iteration, entry in metrics.items()
    }


def test_toy_run(d2, toy_training, metrics_of, tmp_path):
    trainer = toy_training(d2, str(tmp_path))
    assert trainer.iter == trainer.max_iter == 12
    metrics = metrics_of(tmp_path)
    assert sorted(metrics) == [*range(13)]  # 12: the evaluation after the last step
    first, last = metrics[0], metrics[11]
    assert first["total_loss"] == pytest.approx(first["loss_fit"] + first["loss_norm"])
    assert last["total_loss"] < first["total_loss"]
    assert [metrics[i]["lr"] for i in (0, 11)] == pytest.approx([0.1, 0.1 * 0.89**0.9])
    # The evaluations; the last comes after the last step.
    scores = {i: m["sem_seg/mIoU"] for i, m in metrics.items() if "sem_seg/mIoU" in m}
    assert scores == {3: 3.0, 7: 7.0, 12: 12.0}
    assert "time" not in metrics[1]  # warming up
    assert metrics[11]["time"] > 0
    names = {path.name for path in tmp_path.glob("*.pth")}
    assert names == {
        "model_0000004.pth",
        "model_0000009.pth",
        "model_final.pth",
        "model_best.pth",
    }


def test_toy_run_is_that_of_detectron2(lite, real, toy_training, metrics_of, tmp_path):
    logged = {}
    for name, source in (("lite", lite), ("real", real)):
        toy_training(source, str(tmp_path / name))
        logged[name] = losses(metrics_of(tmp_path / name))
    assert logged["lite"].keys() == logged["real"].keys()
    for iteration, entry in logged["real"].items():
        assert logged["lite"][iteration] == pytest.approx(entry, abs=1e-6), iteration


@pytest.mark.parametrize(
    ("first", "second"), [("lite", "lite"), ("lite", "real"), ("real", "lite")]
)
def test_resuming(request, first, second, toy_training, tmp_path):
    """A run that dies in its sixth step and is resumed ends like one that does not."""
    first, second = request.getfixturevalue(first), request.getfixturevalue(second)
    whole = toy_training(first, str(tmp_path / "whole"), 8)

    class PowerCut(first.HookBase):
        def before_step(self):
            if self.trainer.iter == 5:
                raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        toy_training(first, str(tmp_path / "parts"), 8, hooks=[PowerCut()])
    resumed = toy_training(second, str(tmp_path / "parts"), 8, resume=True)
    assert resumed.start_iter == 5
    assert torch.equal(resumed.model.linear.weight, whole.model.linear.weight)
    ours, theirs = resumed.state_dict(), whole.state_dict()
    assert ours.keys() == theirs.keys() == {"iteration", "hooks", "optimizer"}
    assert ours["optimizer"]["param_groups"] == theirs["optimizer"]["param_groups"]
    assert ours["hooks"]["LRScheduler"] == theirs["hooks"]["LRScheduler"]


class Recorder:
    """What was called, in order."""

    def __init__(self, d2):
        calls = self.calls = []

        class Hook(d2.HookBase):
            def before_train(self):
                calls.append("before_train")

            def after_train(self):
                calls.append("after_train")

            def before_step(self):
                calls.append("before_step")

            def after_backward(self):
                calls.append("after_backward")

            def after_step(self):
                calls.append("after_step")

        class Optimizer(torch.optim.SGD):
            def zero_grad(self, set_to_none=True):
                calls.append("zero_grad")
                super().zero_grad(set_to_none)

            def step(self, closure=None):
                calls.append("optimizer")

        class Model(torch.nn.Linear):
            def forward(self, batch):
                calls.append("forward")
                return super().forward(batch).sum() * 0

        self.hook, self.model = Hook(), Model(1, 1)
        self.optimizer = Optimizer(self.model.parameters(), lr=1.0)


@pytest.mark.parametrize("zero_first", [False, True])
def test_order_of_a_step(d2, zero_first):
    recorder = Recorder(d2)
    trainer = d2.SimpleTrainer(
        recorder.model,
        [torch.ones(1, 1)],
        recorder.optimizer,
        zero_grad_before_forward=zero_first,
    )
    trainer.register_hooks([recorder.hook])
    trainer.train(0, 1)
    start = ["zero_grad", "forward"] if zero_first else ["forward", "zero_grad"]
    step = ["before_step", *start, "after_backward", "optimizer", "after_step"]
    assert recorder.calls == ["before_train", *step, "after_train"]
    # A bare tensor counts as the total.
    assert set(trainer.storage.latest()) == {"total_loss", "data_time", "rank_data_time"}


class Exploding(torch.nn.Linear):
    """A loss that is infinite from the third batch on."""

    seen = 0

    def forward(self, batch):
        self.seen += 1
        loss = super().forward(batch).mean()
        return {"loss_a": loss, "loss_b": loss * float("inf") if self.seen > 2 else loss}


def test_infinite_loss(d2):
    """Raised before the optimizer steps."""
    model = Exploding(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    trainer = d2.SimpleTrainer(model, [torch.ones(1, 1)] * 9, optimizer)
    with pytest.raises(FloatingPointError, match="iteration=2!") as error:
        trainer.train(0, 9)
    assert "'loss_a': " in str(error.value)
    assert "inf" in str(error.value)
    assert trainer.iter == 2
    assert torch.isfinite(model.weight).all()


@pytest.mark.parametrize(("steps", "noticed"), [(9, 3), (3, 3)])
def test_infinite_loss_in_a_thread(lite, steps, noticed):
    """Raised one step later, or at the end. detectron2 loses it."""
    model = Exploding(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    batches = [torch.ones(1, 1)] * steps
    trainer = lite.SimpleTrainer(model, batches, optimizer, async_write_metrics=True)
    with pytest.raises(FloatingPointError, match="iteration=2!"):
        trainer.train(0, steps)
    assert trainer.iter == noticed


def test_metrics_in_a_thread_are_the_same(d2, toy_model, toy_data):
    stored = []
    for in_thread in (False, True):
        model = toy_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        trainer = d2.SimpleTrainer(model, toy_data(), optimizer, async_write_metrics=in_thread)
        trainer.train(0, 4)
        stored.append(trainer.storage.history("total_loss").values())
    assert stored[0] == stored[1]
    assert len(stored[0]) == 4


def test_gather_metric_period(d2, toy_model, toy_data):
    model = toy_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = d2.SimpleTrainer(model, toy_data(), optimizer, gather_metric_period=3)
    trainer.train(0, 7)
    assert [i for _, i in trainer.storage.history("total_loss").values()] == [2, 5]


def test_eval_mode_is_an_error(d2, toy_model, toy_data):
    model = toy_model()
    trainer = d2.SimpleTrainer(model, toy_data(), torch.optim.SGD(model.parameters(), lr=0.1))
    model.eval()
    with pytest.raises(AssertionError, match="eval mode"):
        trainer.train(0, 1)


def test_reset_data_loader(d2, toy_model, toy_data):
    model = toy_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = d2.SimpleTrainer(model, [], optimizer)
    with pytest.raises(StopIteration):
        trainer.train(0, 1)
    trainer = d2.SimpleTrainer(model, [], optimizer)
    trainer.reset_data_loader(toy_data)
    trainer.train(0, 1)
    assert trainer.iter == 1


def test_trainer_base(d2):
    class Loop(d2.TrainerBase):
        def run_step(self):
            if self.iter == 3:
                raise ValueError("step 3")

    loop = Loop()
    with pytest.raises(ValueError, match="step 3"):
        loop.train(2, 5)
    assert (loop.iter, loop.start_iter, loop.storage.iter) == (3, 2, 3)
    with pytest.raises(AssertionError):
        loop.register_hooks([object()])
    with pytest.raises(NotImplementedError):
        d2.TrainerBase().train(0, 1)


def test_states_of_hooks(d2, log):
    class Counter(d2.HookBase):
        count = 0

        def state_dict(self):
            return {"count": self.count}

        def load_state_dict(self, state):
            self.count = state["count"]

    trainer = d2.TrainerBase()
    trainer.register_hooks([d2.HookBase(), Counter()])
    trainer.iter = 4
    trainer._hooks[1].count = 6
    state = trainer.state_dict()
    name = Counter.__qualname__
    assert state == {"iteration": 4, "hooks": {name: {"count": 6}}}
    other = d2.TrainerBase()
    other.register_hooks([Counter()])
    other.load_state_dict({**state, "hooks": {**state["hooks"], "Gone": {}}})
    assert (other.iter, other._hooks[0].count) == (4, 6)
    assert "'Gone'" in log.text


def test_hooks_do_not_keep_the_trainer(d2):
    trainer, hook = d2.TrainerBase(), d2.HookBase()
    trainer.register_hooks([hook])
    assert hook.trainer.iter == 0
    del trainer
    with pytest.raises(ReferenceError):
        hook.trainer.iter  # noqa: B018
