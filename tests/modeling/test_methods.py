"""What methods share: one exchange a step, teachers of a checkpoint, any number of students."""

import pytest
import torch

from co2s.d2 import EventStorage, build_model
from co2s.semi import counting


def method(cfg, name, students=("global", "local"), ema=0.0):
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.STUDENTS = name, students
    cfg.MODEL.EMA_DECAY = ema
    torch.manual_seed(0)
    return build_model(cfg).train()


def test_processes_exchange_their_counts_once_a_step(
    tiny_cfg, method_batch, monkeypatch, any_method
):
    model, exchanges = method(tiny_cfg, any_method), []
    monkeypatch.setattr(counting.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(counting.dist, "get_world_size", lambda: 1)
    monkeypatch.setattr(counting.dist, "all_reduce", exchanges.append)
    with EventStorage(5):
        losses = model(method_batch(tiny_cfg))
    assert len(exchanges) == 1
    assert {key.rsplit("_", 1)[1] for key in losses} == {"global", "local"}
    assert bool(model.tally) == (any_method != "OnlySup")
    assert all(value.dtype == torch.int64 for value in model.tally.values())


def test_three_students_are_fused(tiny_cfg):
    tiny_cfg.MODEL.THIRD = tiny_cfg.MODEL.LOCAL.clone()
    model = method(tiny_cfg, "OnlySup", ("global", "local", "third")).eval()
    (output,) = model([{"image": torch.randint(0, 256, (3, 32, 32)).byte()}])
    maps = torch.stack([output[f"sem_seg_{name}"] for name in tiny_cfg.MODEL.STUDENTS])
    assert set(output) == {"sem_seg", *(f"sem_seg_{n}" for n in tiny_cfg.MODEL.STUDENTS)}
    torch.testing.assert_close(output["sem_seg"].amax(0), maps.amax((0, 1)))


@pytest.mark.parametrize("fusion", ["confidence", "mean", "local"])
def test_one_student_is_the_prediction(tiny_cfg, fusion):
    tiny_cfg.MODEL.FUSION = fusion
    model = method(tiny_cfg, "OnlySup", ("local",)).eval()
    (output,) = model([{"image": torch.randint(0, 256, (3, 32, 32)).byte()}])
    assert set(output) == {"sem_seg", "sem_seg_local"}
    assert output["sem_seg"] is output["sem_seg_local"]
    assert not any("global" in name for name in model.state_dict())


def test_averaged_teachers_predict_and_start_as_their_students(tiny_cfg):
    plain, model = method(tiny_cfg, "OnlySup"), method(tiny_cfg, "FixMatch", ema=0.9)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(0.01)
    model.load_state_dict(plain.state_dict())  # of a method without teachers
    for student, teacher in zip(
        model.students.parameters(), model.teachers.parameters(), strict=True
    ):
        assert torch.equal(student, teacher) and not teacher.requires_grad
    assert model.predictors is model.teachers
    with torch.no_grad():
        for parameter in model.students.parameters():
            parameter.add_(1.0)
    model.after_step(0)  # the first step copies
    pairs = zip(model.students.parameters(), model.teachers.parameters(), strict=True)
    assert all(torch.allclose(a, b) for a, b in pairs)
    with pytest.raises(ValueError, match="`teachers` another method"):
        plain.load_state_dict(model.state_dict())


@pytest.mark.parametrize("labels", [True, False])
def test_averages_label_where_they_are_to(tiny_cfg, method_batch, monkeypatch, any_method, labels):
    if any_method == "OnlySup":
        return  # nothing is labelled
    tiny_cfg.MODEL.EMA_LABELS = labels
    model, judged = method(tiny_cfg, any_method, ema=0.9), {}
    with torch.no_grad():
        for parameter in model.teachers.parameters():
            parameter.mul_(1.1)
    monkeypatch.setattr(model, "watch", lambda x, u, weak, labels: judged.update(weak, u=u))
    with EventStorage(5):
        model(method_batch(tiny_cfg))
    labelers, weak = (model.teachers if labels else model.students), judged["u"].weak
    for student in ("global", "local"):
        expected = labelers[student](weak)
        torch.testing.assert_close(judged[student], expected, atol=1e-5, rtol=1e-4)
    other = model.students if labels else model.teachers
    assert (judged["local"] - other["local"](weak)).abs().max() > 1e-3


def test_averages_of_any_method_predict(tiny_cfg):
    model = method(tiny_cfg, "OnlySup", ema=0.9).eval()
    assert model.predictors is model.teachers
    item = {"image": torch.randint(0, 256, (3, 32, 32)).byte()}
    (before,) = model([item])
    with torch.no_grad():
        for parameter in model.students.parameters():
            parameter.mul_(2)
    assert torch.equal(model([item])[0]["sem_seg"], before["sem_seg"])
    model.train().after_step(0)  # the first average is the student itself
    assert not torch.equal(model.eval()([item])[0]["sem_seg"], before["sem_seg"])
