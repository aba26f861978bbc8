"""tools/benchmark.py train: variants compute the same, and what a line holds; nothing is timed."""

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import stepping, train
from benchmarks.stepping import WorkerSettings
from co2s.d2 import EventStorage
from co2s.layers import QuickGELU, SameConv2d, choose_products
from co2s.modeling.meta_arch.partners import DrawnPartners

TOOL = Path(__file__).parents[2] / "tools" / "benchmark.py"
TINY = [
    part
    for student in ("GLOBAL", "LOCAL")
    for key, value in {
        "BACKBONE.WIDTH": 32,
        "BACKBONE.DEPTH": 2,
        "BACKBONE.HEADS": 2,
        "BACKBONE.PATCH_SIZE": 8,
        "BACKBONE.FEATURES": "[0,0,1]",
        "HEAD.DIM": 16,
        "HEAD.UP_DIMS": "(16,8)",
        "HEAD.SKIP_DIMS": "(8,4)",
    }.items()
    for part in (f"MODEL.{student}.{key}", str(value))
]
TINY += ["MODEL.GLOBAL.BACKBONE.IMAGE_SIZE", "32", "MODEL.GLOBAL.BACKBONE.OUTPUT_DIM", "24"]


def settings(variant, **changes):
    given = {
        "variant": variant,
        "precision": "fp32",
        "checkpointing": "none",
        "compile": False,
        "method": "Co2S",
        "backbone": "",
        "resolution": 32,
        "batch": 2,
        "classes": 6,
        "device": "cpu",
        "config_file": "",
        "opts": tuple(TINY),
    }
    return WorkerSettings(**(given | changes))


@pytest.fixture
def restored(monkeypatch):
    """What the plain variant replaces comes back."""
    for owner, name in ((SameConv2d, "forward"), (QuickGELU, "forward"), (DrawnPartners, "logits")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    yield
    choose_products("torch")


@pytest.mark.usefixtures("restored")
def test_plain_and_default_compute_the_same():
    found = []
    for variant in ("default", "plain"):
        stepper = stepping.build(settings(variant))
        assert stepper.optimizer.param_groups[0]["fused"] == (variant == "default")
        with EventStorage(500) as stepper.storage:
            stepper.run_step()
            stepper.run_step()
        found.append({n: h.latest() for n, h in stepper.storage.histories().items() if "loss" in n})
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    assert all(value > 0 for value in found[0].values())


@pytest.mark.usefixtures("restored")
def test_the_fastest_draws_no_partner():
    for batch, partner in ((1, "previous"), (2, "rolled")):
        one = settings("fastest", batch=batch)
        assert one.options()[one.options().index("DATALOADER.CUTMIX_PARTNER") + 1] == partner
        stepper = stepping.build(one)
        with EventStorage(500) as stepper.storage:
            stepper.run_step()
        assert "partner" not in stepper.batches[0]["unlabeled"][0]
        assert len(stepper.batches[0]["unlabeled"]) == batch


def test_lines(capsys, tmp_path, load_script):
    tool = load_script(TOOL)
    options = ["--resolution", "32", "--repeats", "2", "--warmup", "1", "--method", "OnlySup"]
    lists = ["--variant", "default", "--precision", "fp32", "bf16"]
    tool.main(["train", *lists, *options, "--output", str(tmp_path / "all.json"), *TINY])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "{" in line]
    assert [line["precision"] for line in lines] == ["fp32", "bf16"]
    for line in lines:
        assert 0 < line["wall_s"]["min"] <= line["wall_s"]["median"] <= line["wall_s"]["max"]
        assert line["gflop_per_step"] > 0 and line["peak_gb"] > 0 and line["images_per_s"] > 0
    assert lines[0]["gflop_per_step"] == lines[1]["gflop_per_step"]
    assert json.loads((tmp_path / "all.json").read_text()) == lines


def test_variants_are_listed_once():
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(
        ["--variant", "plain", "default", "--precision", "fp32", "bf16", "--checkpointing", "mlp"]
    )
    args.config_file, args.opts = "", []
    names = [(s.variant, s.precision, s.checkpointing) for s in train.variants(args)]
    assert names == [
        ("plain", "fp32", "none"),
        ("default", "fp32", "mlp"),
        ("default", "bf16", "mlp"),
    ]


def test_an_error_of_a_variant_reaches_the_user():
    class Pipe:
        def __init__(self):
            self.sent = []

        def send(self, what):
            self.sent.append(what)

    pipe = Pipe()
    stepping.work(settings("default", method="None"), pipe)
    assert isinstance(pipe.sent[0], ValueError)
    with pytest.raises(ValueError, match="META_ARCHITECTURE"):
        train._ask(type("P", (), {"send": lambda s, w: None, "recv": lambda s: pipe.sent[0]})(), "")
