"""Statistics of bands: NumPy's on the same pixels, merged from parts, and their file."""

import json
import pickle

import numpy as np
import pytest

from co2s.preparation.check import statistics
from co2s.preparation.check.statistics import BandStatistics, summaries, write_statistics


def numpys(values):
    """What NumPy says of the same pixels."""
    wide = values.astype(np.float64)
    return {
        "mean": wide.mean(),
        "std": wide.std(),
        "min": wide.min(),
        "max": wide.max(),
        "p2": np.percentile(wide, 2),
        "p98": np.percentile(wide, 98),
        "pixels": wide.size,
    }


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_small_integers_are_exact(dtype):
    ends = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(ends.min, ends.max + 1, (7, 500)).astype(dtype)
    values[0, :2] = ends.min, ends.max
    whole = BandStatistics()
    for part in values:
        whole.add(part)
    found = whole.summary()
    assert found.pop("percentiles") == "exact"
    assert found == pytest.approx(numpys(values), rel=1e-12)


def test_floats_far_from_zero_keep_their_spread():
    """In one pass and in float32, sums of squares would lose it all."""
    values = (1e4 + np.random.default_rng(0).normal(size=(5, 1000))).astype(np.float32)
    whole = BandStatistics()
    for part in values:
        whole.add(part)
    found = whole.summary()
    assert found.pop("percentiles") == "sample of 5000 pixels"
    assert found == pytest.approx(numpys(values), rel=1e-11)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_parts_of_several_processes_are_merged(dtype):
    values = np.random.default_rng(1).integers(0, 60000, (6, 300)).astype(dtype)
    whole, merged = BandStatistics(), BandStatistics()
    for part in values:
        one = BandStatistics()
        one.add(part)
        merged.merge(pickle.loads(pickle.dumps(one)))
        whole.add(part)
    assert merged.summary() == pytest.approx(whole.summary())
    assert merged.summary()["mean"] == pytest.approx(values.astype(np.float64).mean(), rel=1e-12)


def test_percentiles_of_many_floats_come_from_a_uniform_sample(monkeypatch):
    monkeypatch.setattr(statistics, "SAMPLE", 2000)
    whole = BandStatistics()
    for start in range(10):  # in order: a sample of the first or the last ones would be far off
        part = BandStatistics(seed=start)
        part.add(np.linspace(start, start + 1, 5000))
        whole.merge(part)
    found = whole.summary()
    assert found["percentiles"] == "sample of 2000 pixels"
    assert found["p2"] == pytest.approx(0.2, abs=0.12)
    assert found["p98"] == pytest.approx(9.8, abs=0.12)
    assert found["mean"] == pytest.approx(5) and found["max"] == 10


def test_integers_and_floats_together():
    whole = BandStatistics()
    integers, floats = np.arange(100, dtype=np.uint8), np.linspace(0, 1, 100)
    whole.add(integers)
    whole.add(floats)
    expected = numpys(np.concatenate([integers, floats]))
    found = whole.summary()
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def test_a_sample_weighs_as_much_as_what_it_stands_for(monkeypatch):
    monkeypatch.setattr(statistics, "SAMPLE", 500)
    whole = BandStatistics()
    whole.add(np.full(500, 100, np.uint8))
    whole.add(np.linspace(0, 1, 49500))
    assert whole.summary()["p98"] == pytest.approx(0.98 / 0.99, abs=0.05)


def test_nothing_has_no_figures():
    band = BandStatistics()
    band.add(np.zeros(0, np.uint8))
    assert band.summary() == {} and summaries({1: band}) == {}


def test_the_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "new" / "bands.json"
    with pytest.raises(ValueError, match="No image of 'toy' has a valid pixel"):
        write_statistics(path, {}, "toy", 0, [])
    assert not path.parent.exists()
    bad = {"1": {"mean": float("nan")}}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_statistics(path, bad, "toy", 1, ["toy_val"])
    assert not path.exists()
    write_statistics(path, {"1": {"mean": 2.0}}, "toy", 1, ["toy_val"])
    content = json.loads(path.read_text())
    assert content["bands"] == {"1": {"mean": 2.0}} and content["lists"] == ["toy_val"]
