"""The hooks on their own, on a loop whose steps do nothing."""

import pytest
import torch
from fvcore.common.param_scheduler import CosineParamScheduler


@pytest.fixture
def loop(d2):
    class Loop(d2.TrainerBase):
        def run_step(self):
            self.storage.put_scalar("loss", self.iter)

    return Loop()


def optimizer_of(*groups):
    """One group per (number of parameters, learning rate)."""
    return torch.optim.SGD(
        [
            {"params": [torch.nn.Parameter(torch.zeros(1)) for _ in range(count)], "lr": rate}
            for count, rate in groups
        ],
        lr=1.0,
    )


class TestEvalHook:
    def run(self, d2, loop, iterations=5, **kwargs):
        calls = []

        def evaluate():
            calls.append(loop.iter)
            return {"a": {"b": {"c": 1}, "d": torch.tensor(2.0)}, "e": 3}

        loop.register_hooks([d2.hooks.EvalHook(2, evaluate, **kwargs)])
        loop.train(0, iterations)
        return calls

    def test_periods(self, d2, loop):
        assert self.run(d2, loop) == [1, 3, 5]
        stored = {name: value for name, (value, _) in loop.storage.latest().items()}
        assert stored == {"loss": 4, "a/b/c": 1, "a/d": 2, "e": 3}
        assert not loop.storage.smoothing_hints()["e"]

    def test_last_one_is_after_training(self, d2, loop):
        assert self.run(d2, loop, 4) == [1, 4]

    def test_none_after_training(self, d2, loop):
        assert self.run(d2, loop, 4, eval_after_train=False) == [1]

    def test_only_after_training(self, d2, loop):
        calls = []
        loop.register_hooks([d2.hooks.EvalHook(0, lambda: calls.append(loop.iter))])
        loop.train(0, 3)
        assert calls == [3]

    def test_not_after_a_failure(self, d2, loop):
        calls = []
        loop.register_hooks([d2.hooks.EvalHook(0, lambda: calls.append(1))])
        loop.run_step = lambda: 1 / 0
        with pytest.raises(ZeroDivisionError):
            loop.train(0, 3)
        assert calls == []

    @pytest.mark.parametrize(
        ("results", "error"), [([1], AssertionError), ({"a": {"b": "x"}}, ValueError)]
    )
    def test_results_must_be_numbers(self, d2, loop, results, error):
        loop.register_hooks([d2.hooks.EvalHook(1, lambda: results)])
        with pytest.raises(error, match=r"(must|should) return"):
            loop.train(0, 2)


class TestBestCheckpointer:
    def run(self, d2, loop, tmp_path, scores, **kwargs):
        scores = iter(scores)
        checkpointer = d2.DetectionCheckpointer(torch.nn.Linear(1, 1), str(tmp_path))
        best = d2.hooks.BestCheckpointer(1, checkpointer, "mIoU", **kwargs)
        loop.register_hooks([d2.hooks.EvalHook(1, lambda: {"mIoU": next(scores)}), best])
        loop.train(0, 4)
        return best

    def saved_iteration(self, tmp_path, name="model_best"):
        return torch.load(tmp_path / f"{name}.pth", weights_only=True)["iteration"]

    def test_highest(self, d2, loop, tmp_path):
        best = self.run(d2, loop, tmp_path, [float("nan"), 5.0, 7.0, 6.0])
        assert (best.best_metric, best.best_iter) == (7.0, 2)
        assert self.saved_iteration(tmp_path) == 2

    def test_lowest(self, d2, loop, tmp_path):
        best = self.run(d2, loop, tmp_path, [5, 3, 4, 2], mode="min", file_prefix="low")
        assert (best.best_metric, best.best_iter) == (2, 4)
        assert self.saved_iteration(tmp_path, "low") == 4

    def test_infinite_is_never_best(self, lite, tmp_path):
        """detectron2 takes infinity when it is not the first."""
        loop = lite.TrainerBase()
        loop.run_step = lambda: None
        best = self.run(lite, loop, tmp_path, [1, float("inf"), 2, 0])
        assert best.best_metric == 2

    def test_metric_absent(self, d2, loop, tmp_path, log):
        checkpointer = d2.DetectionCheckpointer(torch.nn.Linear(1, 1), str(tmp_path))
        loop.register_hooks([d2.hooks.BestCheckpointer(1, checkpointer, "nothing")])
        loop.train(0, 1)
        assert "nothing" in log.text
        assert not list(tmp_path.iterdir())

    def test_mode(self, d2, tmp_path):
        with pytest.raises(AssertionError, match="mean"):
            d2.hooks.BestCheckpointer(1, None, "x", mode="mean")


class TestLRScheduler:
    @pytest.mark.filterwarnings("ignore:Detected call of")
    def test_torch_scheduler(self, d2, loop):
        optimizer = optimizer_of((1, 0.5))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 1 / (i + 1))
        loop.register_hooks([d2.hooks.LRScheduler(optimizer, scheduler)])
        loop.train(0, 3)
        rates = [value for value, _ in loop.storage.history("lr").values()]
        assert rates == pytest.approx([0.5, 0.25, 0.5 / 3])
        assert not loop.storage.smoothing_hints()["lr"]
        assert loop.state_dict()["hooks"]["LRScheduler"]["last_epoch"] == 3

    @pytest.mark.filterwarnings("ignore:Detected call of")
    def test_fvcore_scheduler_of_the_trainer(self, d2, loop):
        loop.optimizer = optimizer_of((2, 1.0), (1, 10.0))
        loop.scheduler = CosineParamScheduler(1.0, 0.0)
        loop.register_hooks([d2.hooks.LRScheduler()])
        loop.train(0, 4)
        half = 0.5**0.5 / 2
        rates = [value for value, _ in loop.storage.history("lr").values()]
        assert rates == pytest.approx([1, 0.5 + half, 0.5, 0.5 - half])
        assert loop.state_dict()["hooks"]["LRScheduler"] == {"base_lrs": [1, 10], "last_epoch": 4}
        assert [g["lr"] for g in loop.optimizer.param_groups] == pytest.approx([0, 0])

    def test_group_shown(self, d2):
        shown = d2.hooks.LRScheduler.get_best_param_group_id
        assert shown(optimizer_of((1, 0.1), (3, 0.2), (3, 0.3))) == 1
        assert shown(optimizer_of((1, 0.1), (1, 0.2), (1, 0.2))) == 1
        assert shown(optimizer_of((1, 0.1))) == 0


class TestPeriodicCheckpointer:
    def test_files(self, d2, loop, tmp_path):
        model = torch.nn.Linear(1, 1)
        checkpointer = d2.DetectionCheckpointer(model, str(tmp_path), trainer=loop)
        loop.register_hooks([d2.hooks.PeriodicCheckpointer(checkpointer, 2, max_to_keep=1)])
        loop.train(0, 5)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"model_0000003.pth", "model_final.pth", "last_checkpoint"}
        assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"
        saved = torch.load(tmp_path / "model_0000003.pth", weights_only=True)
        assert set(saved) == {"model", "trainer", "iteration"}
        assert saved["trainer"]["iteration"] == saved["iteration"] == 3


class TestPeriodicWriter:
    def test_when(self, d2, loop):
        written = []

        class Writer(d2.EventWriter):
            def write(self):
                written.append(d2.get_event_storage().iter)

            def close(self):
                written.append("closed")

        loop.register_hooks([d2.hooks.PeriodicWriter([Writer()], period=2)])
        loop.train(0, 5)
        assert written == [1, 3, 4, 5, "closed"]

    def test_writers_only(self, d2):
        with pytest.raises(AssertionError):
            d2.hooks.PeriodicWriter([print])


def test_iteration_timer(d2, loop, log):
    loop.register_hooks([d2.hooks.IterationTimer(warmup_iter=2)])
    loop.train(10, 15)
    assert [i for _, i in loop.storage.history("time").values()] == [11, 12, 13, 14]
    assert all(0 <= value < 1 for value, _ in loop.storage.history("time").values())
    assert "Overall training speed: 4 iterations in 0:00:00" in log.text
    assert "Total training time: 0:00:00 (0:00:00 on hooks)" in log.text
