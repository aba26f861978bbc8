"""Interrupted runs: the best score survives, no evaluation is lost, no step is skipped."""

from pathlib import Path

import pytest
import torch

from co2s.engine.checkpoints import best_score


@pytest.fixture
def cfg(toy_cfg):
    toy_cfg.MODEL.META_ARCHITECTURE = "OnlySup"
    toy_cfg.SOLVER.MAX_ITER = 4
    toy_cfg.SOLVER.CHECKPOINT_PERIOD = toy_cfg.TEST.EVAL_PERIOD = 1
    return toy_cfg


def best(cfg):
    return best_score(f"{cfg.OUTPUT_DIR}/model_best.pth")


def iteration(cfg, name="model_best.pth"):
    """The step that a checkpoint says it was saved after."""
    content = torch.load(Path(cfg.OUTPUT_DIR, name), weights_only=True)
    assert content["trainer"]["iteration"] == content["iteration"]
    return content["iteration"]


def test_the_best_score_survives_a_kill(cfg, train, scripted):
    cfg.TEST.EVAL_PERIOD, cfg.SOLVER.MAX_ITER = 2, 8
    with pytest.raises(scripted.Killed):
        train(cfg, kind=scripted([30.0, 90.0], kill_before=5))
    trainer, _ = train(cfg, kind=scripted([50.0, 60.0]), resume=True)
    assert (trainer.start_iter, trainer.found) == (5, [50.0, 60.0])
    assert best(cfg) == {"metric": "sem_seg/mIoU", "value": 90.0, "iteration": 3}
    assert iteration(cfg) == 3
    weights = torch.load(Path(cfg.OUTPUT_DIR, "model_best.pth"), weights_only=True)["model"]
    reported = trainer.method.state_dict()
    assert all(torch.equal(value, reported[name]) for name, value in weights.items())


def test_a_finished_run_only_reports(cfg, train, scripted):
    train(cfg, kind=scripted([30.0, 90.0, 50.0, 60.0]))
    weights = torch.load(Path(cfg.OUTPUT_DIR, "model_best.pth"), weights_only=True)["model"]
    again, _ = train(cfg, kind=scripted([]), resume=True)
    assert again.start_iter == 4 and again.found == []
    assert best(cfg)["value"] == 90.0
    assert all(torch.equal(v, again.method.state_dict()[k]) for k, v in weights.items())


def test_an_interrupted_evaluation_is_made_up(cfg, train, scripted):
    with pytest.raises(scripted.Killed):
        train(cfg, kind=scripted([30.0], kill_at_evaluation=1))
    trainer, _ = train(cfg, kind=scripted([90.0, 50.0, 60.0]), resume=True)
    assert trainer.start_iter == 2
    assert best(cfg) == {"metric": "sem_seg/mIoU", "value": 90.0, "iteration": 1}
    assert iteration(cfg) == 1


def test_a_best_model_of_the_last_step_can_go_on(cfg, train, scripted):
    train(cfg, kind=scripted([1.0, 2.0, 3.0, 4.0]))
    assert iteration(cfg) == 3 == iteration(cfg, "model_final.pth")
    cfg.SOLVER.MAX_ITER = 6
    steps = []

    class Counting(scripted([4.0, 3.0, 2.0])):
        def run_step(self):
            steps.append(self.iter)
            super().run_step()

    train(cfg, kind=Counting, resume=True)
    assert steps == [4, 5]


def test_a_fresh_run_does_not_know_the_best_of_another(cfg, train, scripted):
    train(cfg, kind=scripted([90.0] * 4))
    train(cfg, kind=scripted([10.0, 20.0, 5.0, 5.0]))
    assert best(cfg)["value"] == 20.0
    cfg.TEST.EVAL_PERIOD = 2
    with pytest.raises(scripted.Killed):  # before it has a best of its own
        train(cfg, kind=scripted([], kill_before=1))
    train(cfg, kind=scripted([3.0, 2.0]), resume=True)
    assert best(cfg)["value"] == 3.0
    nothing, _ = train(cfg, kind=scripted([float("nan")] * 2))
    assert nothing.keeper.best is None, "and the last model is reported, not a best one of before"


@pytest.mark.parametrize("method", ["DWL", "FixMatch", "MUCA", "RSMTDF", "U2PL"])
def test_averages_and_memories_go_on_exactly(cfg, train, eager, method):
    eager(cfg)
    cfg.MODEL.META_ARCHITECTURE = method
    cfg.MODEL.EMA_DECAY = 0.9
    cfg.TEST.EVAL_PERIOD = 0
    cfg.SOLVER.MAX_ITER = 6
    whole, _ = train(cfg)
    cfg.OUTPUT_DIR += "_broken"
    train(cfg, steps=3)
    resumed, _ = train(cfg, resume=True)
    for (name, a), b in zip(
        whole.method.state_dict().items(), resumed.method.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_the_trainer_calls_the_method_after_every_step(cfg, train):
    cfg.MODEL.META_ARCHITECTURE = "FixMatch"
    cfg.MODEL.EMA_DECAY = 0.9
    cfg.TEST.EVAL_PERIOD = 0
    for steps, equal in ((1, True), (2, False)):  # the first step copies, the second averages
        cfg.SOLVER.MAX_ITER = steps
        cfg.OUTPUT_DIR += "_"
        method = train(cfg)[0].method
        pairs = zip(method.students.parameters(), method.teachers.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) == equal


def test_a_torn_checkpoint_is_named_and_the_one_before_gone_on_from(cfg, train, log):
    cfg.TEST.EVAL_PERIOD = 0
    whole, _ = train(cfg)
    cfg.OUTPUT_DIR += "_broken"
    train(cfg, steps=3)
    last = Path(cfg.OUTPUT_DIR, "model_final.pth")
    assert Path(cfg.OUTPUT_DIR, "last_checkpoint").read_text() == last.name
    last.write_bytes(last.read_bytes()[:-1000])
    resumed, _ = train(cfg, resume=True)
    assert resumed.start_iter == 3, "model_0000002.pth is of the same step"
    assert "model_final.pth is damaged" in log.text
    for a, b in zip(whole.method.parameters(), resumed.method.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=0)


def checkpoints_in(cfg):
    names = {path.name for path in Path(cfg.OUTPUT_DIR).iterdir()}
    return {name for name in names if name.endswith((".pth", ".part"))}


def test_a_full_disk_leaves_the_checkpoint_before_it(cfg, train, monkeypatch):
    from co2s.engine import checkpoints

    cfg.TEST.EVAL_PERIOD = 0
    train(cfg, steps=2)
    before = checkpoints_in(cfg)
    content = Path(cfg.OUTPUT_DIR, "model_final.pth").read_bytes()

    def full(content, draft):
        draft.write_bytes(b"half of it")
        raise OSError(28, "No space left on device", str(draft))

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train(cfg, resume=True)
    assert checkpoints_in(cfg) == before, "and no half of one"
    assert Path(cfg.OUTPUT_DIR, "model_final.pth").read_bytes() == content
