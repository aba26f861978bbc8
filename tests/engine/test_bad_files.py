"""Training files that cannot be read: named, done without up to a limit, the same for everyone."""

import json
from pathlib import Path

import numpy as np
import pytest

from co2s.data import BadFiles, build_train_loader
from co2s.data.failures import Failure, Replaced, item_or_other
from co2s.structures import Views
from co2s.tool import MENDABLE, STOPPED

RECORDS = [{"file_name": f"{number}.png"} for number in range(8)]


def reader(bad):
    """What makes an item of a record: (position, number drawn), not of those that are bad."""

    def make(index, rng):
        if index in bad:
            # As the project raises it: of a file that is not there.
            Path(f"{index}.png").read_bytes()
        return index, int(rng.integers(1000))

    return make


def test_a_bad_file_is_replaced_by_a_draw_of_its_own():
    made = item_or_other(reader({3}), 3, (1, 2, 3), RECORDS, 1)
    assert isinstance(made, Replaced) and made.item[0] != 3
    assert list(made.bad) == ["3.png"] and "No such file" in made.bad["3.png"]
    assert made == item_or_other(reader({3}), 3, (1, 2, 3), RECORDS, 5), "of the draw alone"
    others = {item_or_other(reader({3}), 3, (1, 2, n), RECORDS, 1).item[0] for n in range(30)}
    assert len(others) > 4, "not always the same one"
    good = item_or_other(reader({3}), 2, (1, 2, 3), RECORDS, 1)
    assert good == (2, int(np.random.default_rng((1, 2, 3)).integers(1000))), "as without bad files"


def test_more_bad_files_than_allowed_are_a_failure():
    assert isinstance(item_or_other(reader({3}), 3, (0,), RECORDS, 0), Failure)
    everything = reader(set(range(8)))
    assert isinstance(item_or_other(everything, 3, (0,), RECORDS, 2), Failure)
    assert isinstance(item_or_other(everything, 3, (0,), RECORDS, 100), Failure), "none is left"


def test_each_is_named_once_and_one_too_many_stops(log):
    files = BadFiles(2)
    files.add({"a.png": "torn"})
    files.add({"a.png": "torn", "b.png": "empty"})
    assert log.text.count("Done without a.png: torn") == 1
    files.check()
    files.add({"c.png": "odd"})
    with pytest.raises(ValueError, match=r"3 training files cannot be read.* allows 2") as stop:
        files.check()
    assert all(why in str(stop.value) for why in ("torn", "empty", "odd"))


def damage(toy, *numbers):
    for number in numbers:
        path = toy / "train" / "images" / f"{number}.png"
        path.write_bytes(path.read_bytes()[:200])


def numbers_in(batch, half):
    return [Path(item["file_name"]).stem for item in batch[half]]


def test_the_draws_are_the_same_for_any_number_of_workers(toy_cfg, toy, complete):
    damage(toy, 1, 4, 9)
    toy_cfg.DATALOADER.MAX_BAD_FILES = 3
    pictures = []
    for workers in (0, 2):
        cfg = complete(toy_cfg, "DATALOADER.NUM_WORKERS", workers, training=True)
        loader = build_train_loader(cfg, Views(strong=1))
        batches = [batch for batch, _ in zip(loader, range(12), strict=False)]
        pictures.append(
            [i["image"].numpy() for b in batches for i in b["labeled"] + b["unlabeled"]]
        )
        named = {Path(path).stem for path in loader.bad_files.found}
        assert named == {"1", "4", "9"}
    assert all(np.array_equal(a, b) for a, b in zip(*pictures, strict=True))


@pytest.fixture
def config(toy_cfg, written):
    toy_cfg.SOLVER.MAX_ITER, toy_cfg.SOLVER.IMS_PER_BATCH = 12, 4
    toy_cfg.MODEL.META_ARCHITECTURE = "FixMatch"
    toy_cfg.TEST.PANELS = toy_cfg.TEST.SNAPSHOTS = 0
    toy_cfg.TEST.CALIBRATE = False
    toy_cfg.MODEL.LOCAL.BACKBONE.DEPTH, toy_cfg.MODEL.LOCAL.BACKBONE.FEATURES = 3, [0, 0, 1]
    return written()


def test_two_processes_stop_at_one_limit_with_one_message(nursery, config, toy, tmp_path):
    damage(toy, 1, 4, 9)
    command = ["--config-file", config, "DATALOADER.MAX_BAD_FILES", 2]
    codes, said = nursery.run(tmp_path / "run", *command, processes=2)
    assert codes == [MENDABLE] * 2, said[0][-3000:]
    assert "".join(said).count("train_net.py: 3 training files cannot be read") == 1
    assert "Traceback" not in "".join(said)
    listed = json.loads(Path(tmp_path, "run", "out", "bad_files.json").read_text())
    assert {Path(path).stem for path in listed} == {"1", "4", "9"}


def test_the_count_goes_on_with_the_run(nursery, config, toy, tmp_path):
    damage(toy, 1)
    command = ["--config-file", config, "DATALOADER.MAX_BAD_FILES", 1]
    ending = {"rank": 0, "since": "start", "calls": 150_000, "do": "term"}
    codes, said = nursery.run(tmp_path / "run", *command, ending=ending)
    assert codes == [STOPPED], said[0][-3000:]
    listed = Path(tmp_path, "run", "out", "bad_files.json")
    (first,) = json.loads(listed.read_text())
    Path(first).write_bytes((toy / "train/images/2.png").read_bytes())  # mended, and another torn
    damage(toy, 9)
    codes, said = nursery.run(tmp_path / "run", "--resume", *command)
    assert codes == [MENDABLE]
    assert "train_net.py: 2 training files cannot be read" in said[0]


def test_a_limit_of_0_stops_at_the_first(nursery, config, toy, tmp_path):
    damage(toy, *range(16))
    codes, said = nursery.run(tmp_path / "run", "--config-file", config)
    assert codes == [MENDABLE] and "Traceback" not in said[0]
    assert not Path(tmp_path, "run", "out", "bad_files.json").exists()
