"""Calibration: the fit, the error and its bins, by hand and on data whose temperature is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from co2s.evaluation import calibration
from co2s.evaluation.calibration import (
    HIGHEST,
    LOWEST,
    CalibrationEvaluator,
    collect,
    described,
    expected_error,
    fit_temperature,
    reliability,
)
from co2s.evaluation.reliability import write_reliability

Make = Callable[..., Any]


def test_bins_and_error_by_hand() -> None:
    confidence = np.array([0.95, 0.99, 1.0, 0.5, 0.52])
    right = np.array([True, True, False, True, True])
    counts = reliability(confidence, right)
    assert counts.shape == (3, 15) and counts[0].tolist() == [0] * 7 + [2] + [0] * 6 + [3]
    part = described(counts)
    # 0.5 and 0.52 in the eighth bin: sure to 0.51, always right. The others: 0.98, and 2 of 3.
    assert part["bins"][7] == pytest.approx([2, 0.51, 1.0])
    assert part["bins"][14] == pytest.approx([3, 0.98, 2 / 3])
    assert part["bins"][0] == [0, 0.0, 0.0]
    assert part["ece"] == pytest.approx((2 * 0.49 + 3 * (0.98 - 2 / 3)) / 5)
    with pytest.raises(ValueError, match="Not one labelled pixel"):
        expected_error(np.zeros((3, 15)))


def drawn(temperature: float, pixels: int = 20000) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (P, 4), and classes drawn from softmax(log p / temperature)."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(pixels, 4, generator=generator)
    probs = (logits / temperature).softmax(dim=1)
    truth = torch.multinomial(probs, 1, generator=generator)[:, 0]
    return logits.log_softmax(dim=1), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_data_were_drawn_with_is_found(temperature: float) -> None:
    log_probs, truth = drawn(temperature)
    found = fit_temperature(log_probs, truth, torch.ones(len(truth)))
    assert found == pytest.approx(temperature, rel=0.05)


def test_the_fit_is_the_minimum_and_weights_are_pixels() -> None:
    log_probs, truth = drawn(1.7, 400)
    weight = torch.ones(400)
    weight[:100] = 3
    found = fit_temperature(log_probs, truth, weight)

    def cost(temperature: float) -> float:
        chosen = (log_probs / temperature).log_softmax(1).gather(1, truth[:, None])[:, 0]
        return -float((weight * chosen).sum())

    assert cost(found) <= min(cost(found * 1.001), cost(found * 0.999))
    repeated = torch.cat([log_probs, *[log_probs[:100]] * 2])
    classes = torch.cat([truth, *[truth[:100]] * 2])
    assert fit_temperature(repeated, classes, torch.ones(600)) == pytest.approx(found, rel=1e-5)


def test_what_is_always_right_or_never_sure_stays_within_bounds() -> None:
    sure = torch.tensor([[0.6, 0.4], [0.3, 0.7]]).log()
    ones = torch.ones(2)
    assert fit_temperature(sure, torch.tensor([0, 1]), ones) == pytest.approx(LOWEST)
    assert fit_temperature(sure, torch.tensor([1, 0]), ones) == pytest.approx(HIGHEST)
    assert LOWEST <= fit_temperature(torch.zeros(2, 2), torch.tensor([0, 1]), ones) <= HIGHEST


def test_a_sample_is_spread_over_the_labelled_pixels() -> None:
    torch.manual_seed(0)
    probs, truth = torch.rand(3, 4096).softmax(0), torch.randint(0, 3, (4096,))
    truth[1000:2000] = 255
    labelled = (truth != 255).nonzero()[:, 0]
    part = collect(probs, truth, labelled, 64)
    assert part.log_probs.shape == (64, 3) and part.weight.tolist() == [3096 / 64] * 64
    assert 255 not in part.truth and part.reliability[0].sum() == 3096 == part.pixels
    # 64 rows of 64 pixels: the sample is not one column of them.
    assert len({int(c) % 64 for c in calibration._spread(4096, 64)}) > 32
    chosen = labelled[calibration._spread(len(labelled), 64)]
    assert len(set(chosen.tolist())) == 64
    assert all(((chosen >= low) & (chosen < low + 512)).any() for low in (0, 512, 2048, 3584))
    assert collect(probs, truth, labelled, 10000).weight.unique().tolist() == [1.0]
    assert len(collect(probs, truth, labelled[:0], 64).truth) == 0


def evidence(dataset: str, item: Make, images: str) -> CalibrationEvaluator:
    evaluator = CalibrationEvaluator(dataset, 4)
    truth = {"a": [[0, 0, 1], [1, 1, 255]], "b": [[2, 2], [0, 1]]}
    for name in images:
        torch.manual_seed(ord(name))
        shape = np.array(truth[name]).shape
        maps = {key: torch.rand(3, *shape).softmax(0) for key in ("sem_seg", "sem_seg_local")}
        evaluator.process([item(name, truth[name])], [maps])
    return evaluator


def test_processes_are_merged_in_the_order_of_the_images(
    dataset: str, item: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evidence(dataset, item, "ab").evaluate()
    parts = [evidence(dataset, item, images) for images in ("a", "b", "")]
    rest = [
        {name: calibration.Evidence.merged(p) for name, p in part._found.items()}
        for part in parts[1:]
    ]
    monkeypatch.setattr(calibration.comm, "gather", lambda own: [own, *rest])
    merged = parts[0].evaluate()
    assert whole is not None and merged is not None
    assert whole.keys() == merged.keys() == {"local", "fused"}
    for name, part in whole.items():
        assert all(torch.equal(x, y) for x, y in zip(part.sample, merged[name].sample, strict=True))
        np.testing.assert_array_equal(part.reliability, merged[name].reliability)
        assert part.pixels == 9


def test_a_diagram_of_every_prediction(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    part = described(reliability(rng.uniform(0.4, 1, 500), rng.random(500) < 0.7))
    content = {n: {"temperature": 1.2, "before": part, "after": part} for n in ("local", "fused")}
    (tmp_path / "calibration.json").write_text(json.dumps(content))
    path = write_reliability(str(tmp_path / "calibration.json"))
    assert path == str(tmp_path / "reliability.png")
    two = Image.open(path).size
    (tmp_path / "calibration.json").write_text(json.dumps({"local": content["local"]}))
    one = Image.open(write_reliability(str(tmp_path / "calibration.json"))).size
    assert two[0] == 2 * one[0] and two[1] == one[1]
