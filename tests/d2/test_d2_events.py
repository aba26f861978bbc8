"""The event storage and its three writers."""

import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_no_storage_open(d2):
    with pytest.raises(AssertionError, match="get_event_storage"):
        d2.get_event_storage()


def test_storages_nest(d2):
    with d2.EventStorage(3) as outer:
        assert d2.get_event_storage() is outer
        with d2.EventStorage() as inner:
            assert d2.get_event_storage() is inner
        assert d2.get_event_storage() is outer
        assert outer.iter == outer.iteration == 3


def test_scalars_and_smoothing(d2):
    with d2.EventStorage() as storage:
        for i, value in enumerate([4.0, 1.0, 9.0]):
            storage.iter = i
            storage.put_scalar("noisy", torch.tensor(value))
            storage.put_scalars(exact=value, smoothing_hint=False)
        with storage.name_scope("part/"):
            storage.put_scalar("x", 1, cur_iter=7)
        storage.put_scalar("x", 2)
        storage.step()
    assert storage.iter == 3
    assert storage.latest() == {"noisy": (9, 2), "exact": (9, 2), "part/x": (1, 7), "x": (2, 2)}
    smooth = storage.latest_with_smoothing_hint(20)
    assert smooth["noisy"] == (4, 2)
    assert smooth["exact"] == (9, 2)
    assert storage.latest_with_smoothing_hint(1)["noisy"] == (9, 2)
    assert storage.count_samples("noisy", 2) == 2
    assert storage.smoothing_hints() == {"noisy": True, "exact": False, "part/x": True, "x": True}
    assert storage.history("noisy").values() == [(4, 0), (1, 1), (9, 2)]
    assert set(storage.histories()) == {"noisy", "exact", "part/x", "x"}


def test_storage_errors(d2):
    storage = d2.EventStorage()
    storage.put_scalar("x", 1)
    with pytest.raises(AssertionError, match="smoothing_hint"):
        storage.put_scalar("x", 1, smoothing_hint=False)
    with pytest.raises(KeyError, match="y"):
        storage.history("y")


def test_json_lines(d2, tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"iteration": 0}\n')
    writer = d2.JSONWriter(str(path))
    with d2.EventStorage(4) as storage:
        storage.put_scalar("b", 2)
        storage.put_scalar("old", 1, cur_iter=3)
        writer.write()
        writer.write()  # nothing new, nothing written
        storage.iter = 5
        storage.put_scalar("b", 4)
        writer.write()
        writer.close()
    lines = path.read_text().splitlines()
    assert sorted(lines[1:]) == [
        '{"b": 2.0, "iteration": 4}',
        '{"b": 3.0, "iteration": 5}',
        '{"iteration": 3, "old": 1.0}',
    ]
    assert lines[0] == '{"iteration": 0}'
    assert json.loads(lines[-1])["iteration"] == 5


def test_tensorboard(d2, tmp_path):
    writer = d2.TensorboardXWriter(str(tmp_path))
    with d2.EventStorage(2) as storage:
        storage.put_scalar("loss", 0.5)
        storage.put_image("view", torch.zeros(3, 4, 4, dtype=torch.uint8))
        storage.put_histogram("weights", torch.tensor([0.0, 1.0, 1.0]), bins=2)
        writer.write()
        writer.write()
        storage.iter = 3
        storage.put_scalar("loss", 1.5)
        writer.write()
        writer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(2, 0.5), (3, 1.0)]
    assert [e.step for e in events.Images("view")] == [2]
    (histogram,) = events.Histograms("weights")
    assert histogram.histogram_value.num == 3
    assert histogram.histogram_value.bucket == [1, 2]


def test_tensorboard_writes_no_empty_file(d2, tmp_path):
    d2.TensorboardXWriter(str(tmp_path)).close()
    assert not list(tmp_path.iterdir())


def test_console_line(d2, log):
    printer = d2.CommonMetricPrinter(max_iter=100)
    with d2.EventStorage(9) as storage:
        storage.put_scalars(total_loss=2.5, data_time=0.25, time=2.0)
        storage.put_scalar("[metric]scale", 8)
        storage.put_scalar("lr", 1e-3, smoothing_hint=False)
        storage.put_scalar("other", 1)
        printer.write()
        assert storage.latest()["eta_seconds"] == (180.0, 9)
        storage.iter = 100
        printer.write()  # after the end there is nothing to tell
    (line,) = [r.getMessage() for r in log.records]
    assert " ".join(line.split("max_mem")[0].split()) == (
        "eta: 0:03:00 iter: 9 total_loss: 2.5 [metric]scale: 8 time: 2.0000 last_time: 2.0000 "
        "data_time: 0.2500 last_data_time: 0.2500 lr: 0.001"
    )


def test_console_line_without_times(d2, log):
    """Time left is told from the second line on, by the printer's own clock."""
    printer = d2.CommonMetricPrinter(max_iter=5)
    with d2.EventStorage() as storage:
        for storage.iter in (0, 4):
            storage.put_scalar("loss", 1)
            printer.write()
        d2.CommonMetricPrinter().write()
    first, second, unlimited = [r.getMessage().split("max_mem")[0].split() for r in log.records]
    assert " ".join(first) == "iter: 0 loss: 1 lr: N/A"
    assert " ".join(second) == "eta: 0:00:00 iter: 4 loss: 1 lr: N/A"
    assert " ".join(unlimited) == "iter: 4 loss: 1 lr: N/A"


def test_event_writer_is_abstract(d2):
    with pytest.raises(NotImplementedError):
        d2.EventWriter().write()
    d2.EventWriter().close()
