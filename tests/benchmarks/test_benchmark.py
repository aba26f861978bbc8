"""tools/benchmark.py data: that it runs, and that both pipelines do the same; nothing is timed."""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import loading, stages
from benchmarks.pictures import use_pictures
from benchmarks.plain import PlainLabeled, PlainUnlabeled
from benchmarks.rates import PAIR, with_pairs
from benchmarks.stages import Stages
from co2s.data import LabeledMapper, UnlabeledMapper, get_records
from co2s.data.spec.raster import RasterSpec
from co2s.data.views import strong
from co2s.structures import Views

TOOL = Path(__file__).parents[2] / "tools" / "benchmark.py"
TINY = ["--synthetic", "4", "--size", "48", "--batches", "2", "--repeats", "2"]
KEYS = ["INPUT.CROP_SIZE", "32", "INPUT.BASE_SIZE", "(96, 48)", "SOLVER.IMS_PER_BATCH", "2"]


pytestmark = pytest.mark.usefixtures("clean_catalog")


@pytest.fixture
def tool(load_script):
    """tools/benchmark.py as a module."""
    return load_script(TOOL)


@pytest.fixture
def benchmark(tool, tmp_path, monkeypatch):
    """A function (*arguments) that runs the tool in this process; returns what it wrote."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(*arguments):
        path = tmp_path / "made" / "figures.json"
        tool.main(["data", "--output", str(path), *arguments])
        return json.loads(path.read_text())

    return run


def test_both_pipelines_of_both_streams(benchmark, tmp_path, capsys):
    figures = benchmark("--workers", "0", "1", *TINY, "--compare", *KEYS)
    assert set(figures["samples_per_second"]) == {"0", "1"}
    for streams in figures["samples_per_second"].values():
        assert list(streams) == ["labelled", "unlabelled", PAIR]
        for rates in streams.values():
            assert list(rates) == [loading.LIBRARY, loading.PLAIN]
            assert all(len(runs) == 2 and min(runs) > 0 for runs in rates.values())
    assert figures["settings"]["crop"] == 32
    assert figures["settings"]["synthetic"] == [4, 48, "png"]
    text = capsys.readouterr().out
    assert "Samples/s per worker on crops of 32 px: median (lowest to highest) of 2" in text
    assert "Stages of the labelled stream" in text
    assert "Stages of the unlabelled stream" in text
    assert "ratio" in text
    assert [path.name for path in tmp_path.iterdir()] == ["made"]  # the pictures are gone


def test_stages_of_the_library_alone(benchmark, capsys):
    figures = benchmark("--workers", "0", *TINY, "--format", "jpg", *KEYS)
    for stream, masks in (("labelled", True), ("unlabelled", False)):
        seconds = figures["stages"][stream]
        assert list(seconds) == [loading.LIBRARY]
        seconds = seconds[loading.LIBRARY]
        assert set(seconds) == {*loading.STAGES[loading.LIBRARY], loading.REST}
        always = {"decode image", "geometry", "to tensor", loading.REST}
        views = {"decode mask"} if masks else {"strong: jitter", "CutMix boxes"}
        found = {stage for stage, value in seconds.items() if value > 0}
        assert found >= always | views
        assert ("decode mask" in found) == masks
        assert ("strong: jitter" in found) == (not masks)
    assert "ratio" not in capsys.readouterr().out


def test_a_dataset_of_the_configuration(benchmark, tmp_path, tiny_cfg):
    root = tmp_path / "source"
    root.mkdir()
    tiny_cfg.merge_from_list(use_pictures(root, 4, 48, "png"))
    config = tmp_path / "run.yaml"
    config.write_text(
        f"DATASETS: {{LABELED: {list(tiny_cfg.DATASETS.LABELED)}}}\nSOLVER: {{IMS_PER_BATCH: 1}}\n"
        "INPUT: {CROP_SIZE: 32}\n"
    )
    options = ["--config-file", str(config), "--workers", "0", "--batches", "1", "--repeats", "1"]
    figures = benchmark(*options, "INPUT.CROP_SIZE", "24")
    assert list(figures["samples_per_second"]["0"]) == ["labelled"]
    assert figures["settings"]["crop"] == 24
    assert figures["settings"]["synthetic"] is None


def test_what_is_refused(benchmark, stops, tmp_path):
    with stops("--synthetic needs at least 4 pictures, found 3"):
        benchmark("--synthetic", "3")
    with stops(r"none of DATASETS\.LABELED"):
        benchmark()
    with stops(r"The dataset file missing\.yaml is missing"):
        benchmark("DATASETS.SPECS", "('missing.yaml',)")
    assert not (tmp_path / "made").exists()


@pytest.fixture
def mappers(tmp_path, tiny_cfg):
    """{stream: (records, the library's mapper, the plain one)} of some pictures."""
    tiny_cfg.INPUT.BASE_SIZE = (160, 64)  # scaled to 32..128 pixels: crops of 40 may be padded
    tiny_cfg.INPUT.CROP_SIZE = 40
    tiny_cfg.merge_from_list(use_pictures(tmp_path, 4, 64, "png"))
    labeled, unlabeled = tiny_cfg.DATASETS.LABELED, tiny_cfg.DATASETS.UNLABELED
    one = LabeledMapper(tiny_cfg, labeled)
    other = UnlabeledMapper(tiny_cfg, unlabeled, Views(strong=2, cutmix=True))
    return {
        "labelled": (get_records(labeled[0]), one, PlainLabeled(one)),
        "unlabelled": (get_records(unlabeled[0]), other, PlainUnlabeled(other)),
    }


def test_rasters_cannot_be_compared(mappers):
    records, _, plain = mappers["unlabelled"]
    spec = replace(plain.specs[records[0]["dataset"]], raster=RasterSpec(bands=(1, 2, 3, 4)))
    plain.specs = {spec.name: spec}
    with pytest.raises(ValueError, match=r"png is read as a raster.*Leave --compare away"):
        plain(*records[:2], rng(0))


def rng(seed):
    return np.random.default_rng(seed)


def layout(item):
    return {
        key: layout(value) if isinstance(value, dict) else (value.dtype, value.shape)
        for key, value in item.items()
        if isinstance(value, dict | torch.Tensor)
    }


def test_items_have_the_same_keys_shapes_and_types(mappers):
    for records, mapper, plain in mappers.values():
        arguments = records[:1] if isinstance(plain, PlainLabeled) else records[:2]
        mine, theirs = mapper(*arguments, rng(0)), plain(*arguments, rng(0))
        assert sorted(mine) == sorted(theirs)
        if "sem_seg" in theirs:  # the obvious pipeline makes them what the loss asks for
            theirs["sem_seg"] = theirs["sem_seg"].byte()
        assert layout(mine) == layout(theirs)
        for key in ("file_name", "image_id", "height", "width"):
            assert mine[key] == theirs[key]


def test_weak_views_show_the_same(mappers):
    records, mapper, plain = mappers["labelled"]
    for seed in range(30):
        mine, theirs = mapper(records[0], rng(seed)), plain(records[0], rng(seed))
        assert (mine["sem_seg"] == theirs["sem_seg"]).float().mean() > 0.95
        assert ((mine["sem_seg"] == 255) == (theirs["sem_seg"] == 255)).all()
        # Pillow smooths where it shrinks
        assert (mine["image"].float() - theirs["image"].float()).abs().mean() < 8
    records, mapper, plain = mappers["unlabelled"]
    for seed in range(10):
        mine, theirs = mapper(*records[:2], rng(seed)), plain(*records[:2], rng(seed))
        assert torch.equal(mine["valid"], theirs["valid"])


def test_strong_views_and_boxes_have_the_same_distribution(mappers):
    records, *pipelines = mappers["unlabelled"]
    torch.manual_seed(0)
    mine, theirs = (
        np.mean([statistics(mapper(*records[:2], rng(seed))) for seed in range(150)], axis=0)
        for mapper in pipelines
    )
    for one, other, tolerance in zip(mine, theirs, (6, 6, 5, 0.06, 0.08, 0.1, 0.1), strict=True):
        assert abs(one - other) < tolerance, (mine, theirs)


def statistics(item):
    """Mean, spread and sharpness of strong views, change against the weak one, grey, boxes."""
    strong_views, weak = item["strong"].float(), item["image"].float()
    gray = (strong_views[:, :1] == strong_views).all(1).flatten(1).all(1).float().mean()
    boxes = item["cutmix"].float().mean((1, 2))
    change = (strong_views - weak).abs().mean()
    edges, own = (image.diff(dim=-1).abs().mean() for image in (strong_views, weak))
    return [
        *(strong_views.mean(), strong_views.std((2, 3)).mean(), change / 2, edges / own),
        *(gray, (boxes > 0).float().mean(), boxes.mean()),
    ]


def test_stages_put_back_what_they_replaced_and_count_the_caller(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(stages, "perf_counter", lambda: next(clock))
    owner = argparse.Namespace(inner=lambda: 1, outer=lambda: owner.inner() + 1)
    inner, outer = owner.inner, owner.outer
    with Stages({"a": [(owner, "outer")], "b": [(owner, "inner")]}) as measured:
        assert owner.outer() == 2
        assert measured.seconds == {"a": 1, "b": 0}
        owner.inner()
        assert measured.seconds == {"a": 1, "b": 1}
    assert (owner.inner, owner.outer) == (inner, outer)


def test_loading_leaves_the_library_as_it_was(benchmark):
    before = strong.to_gray, strong.change_colors
    benchmark("--workers", "0", *TINY, *KEYS)
    assert (strong.to_gray, strong.change_colors) == before


@pytest.mark.parametrize("stream", loading.STREAMS)
def test_the_loaders_differ_in_the_mapper_only(mappers, tiny_cfg, stream):
    kinds = [type(mapper) for mapper in mappers[stream][1:]]
    for pipeline, kind in zip((loading.LIBRARY, loading.PLAIN), kinds, strict=True):
        loader = loading.build_loader(tiny_cfg, stream, pipeline, 0, 3)
        assert type(loader.dataset.mapper) is kind
        assert loader.sampler.start == 3 * tiny_cfg.SOLVER.IMS_PER_BATCH


def test_pairs():
    rates = with_pairs({"labelled": {"co2s": [30.0, 20.0]}, "unlabelled": {"co2s": [60.0, 20.0]}})
    assert rates[PAIR]["co2s"] == pytest.approx([20.0, 10.0])
    assert list(with_pairs({"labelled": {"co2s": [30.0]}})) == ["labelled"]


def test_loading_a_model_takes_time_and_memory(tool, tmp_path, capsys, stops, monkeypatch):
    from contextlib import contextmanager

    from benchmarks import load
    from co2s.model_zoo import get_config_file

    class Here:
        """Runs what a new process would run: starting one takes seconds."""

        @contextmanager
        def Pool(self, processes):
            yield self

        def apply(self, function, arguments):
            return function(*arguments)

    monkeypatch.setattr(load, "get_context", lambda kind: Here())
    config, output = get_config_file("quickstart.yaml"), tmp_path / "load.json"
    options = ["--repeats", "2", "--config-file", config, "--output", str(output)]
    keys = ["MODEL.NUM_CLASSES", "3"]
    keys += [x for s in ("GLOBAL", "LOCAL") for x in (f"MODEL.{s}.BACKBONE.WEIGHTS", "")]
    tool.main(["load", *options, *keys])
    figures = json.loads(output.read_text())
    assert list(figures) == ["imports alone", "random weights", "weights of the configuration"]
    assert max(figures["imports alone"]["seconds"]) < min(figures["random weights"]["seconds"])
    assert all(len(kind["GB"]) == 2 and kind["GB"][0] > 0.05 for kind in figures.values())
    assert "building the pair of students" in capsys.readouterr().out
    weights = ["MODEL.LOCAL.BACKBONE.WEIGHTS", "none.pth"]
    with stops("Weights 'none.pth': no such file"):
        tool.main(["load", *options, *keys, *weights])
