"""The whole circle of docs/label_loop.md: train, predict, suggest, draw, train on."""

import csv
import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from co2s.d2 import seed_all_rng
from co2s.data import get_records
from co2s.data.catalog import get_spec
from co2s.data.reading.samples import load_labeled
from co2s.engine import SemiSupervisedTrainer, load_cfg, trainer

from ..geo import rasterio, write_raster
from ..vectors import shapely, write_vector

ROOT = Path(__file__).parents[2]
NAIP = ROOT.parent / "shared/data/geotiff/opengeos_naip_m_4709963_se_14_1_20170827.tif"
NAMES = ("bare", "plants")
SPEC = """
name: {name}
root: .
classes:
  - {{name: bare, color: [180, 140, 90], concepts: [bare soil]}}
  - {{name: plants, color: [20, 140, 40], concepts: [meadow]}}
labels: {{vector: {vector}, column: class{layer}}}
raster: {{bands: [1, 2, 3, 4], scale: {{percentile: [2, 98]}}}}
layout: {{images: "scenes/{{scene}}.tif", window: {side}, cover: true}}
splits: {{fractions: ["1_1"]}}
"""


def page():
    """The YAML files and the commands of the page."""
    text = (ROOT / "docs/label_loop.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL))
    lines = text.replace("\\\n", " ").splitlines()
    return files, [line.split()[1:] for line in lines if line.startswith("    python CO2S/tools/")]


def test_the_page_holds_files_and_commands_that_are_understood(
    tmp_path, monkeypatch, clean_catalog, load_script
):
    files, commands = page()
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text.replace("CO2S/", f"{ROOT}/"))
    made_scene(tmp_path / "scenes/naip.tif")
    with rasterio.open(tmp_path / "scenes/naip.tif") as source:
        drawn = [(square(source, 0, 0, 9), "water")]
    write_vector(tmp_path / "labels.gpkg", drawn, layer="labels")
    write_vector(tmp_path / "labels.gpkg", drawn, layer="check", append=True)
    (tmp_path / "output/round_1").mkdir(parents=True)
    (tmp_path / "output/round_1/model_final.pth").touch()
    (tmp_path / "round_1").mkdir()
    write_vector(tmp_path / "round_1/suggestions.gpkg", drawn, layer="labels")
    trainings = [name for name in files if name.startswith("train")]
    for name in trainings:
        cfg = load_cfg(name, training=True)
        assert cfg.MODEL.NUM_CLASSES == 3 and cfg.MODEL.NUM_BANDS == 4
        given = (*cfg.DATASETS.LABELED, *cfg.DATASETS.UNLABELED, *cfg.DATASETS.TEST)
        assert {get_spec(name).labels.column for name in given} == {"class"}
    assert len(trainings) == 2 and len(files) == 5 and len(commands) == 5
    for tool, *arguments in commands:
        monkeypatch.setattr(sys, "argv", [tool, *arguments])
        module = load_script(ROOT / "tools" / Path(tool).name)
        module.parse_args(*([arguments] if "arguments" in signature(module.parse_args) else []))


def signature(function):
    return inspect.signature(function).parameters


def made_scene(path):
    """128 x 192 pixels, plants on the right: there the fourth band is bright."""
    rng = np.random.default_rng(0)
    bands = rng.integers(0, 60, (4, 128, 192))
    bands[3, :, 96:] += 150
    write_raster(path, bands.astype(np.uint8), pixel=0.6)


def naip(path):
    if not NAIP.is_file():
        pytest.skip(f"the scene {NAIP.name} is not in shared/data/geotiff")
    path.parent.mkdir(parents=True)
    path.symlink_to(NAIP)


@pytest.fixture
def run_tool(monkeypatch, load_script):
    """A function (name, *arguments) that runs a tool of tools/: its exit code."""

    def run(name, *arguments):
        module = load_script(ROOT / "tools" / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *(str(x) for x in arguments)])
        try:
            module.main()
        except SystemExit as ended:
            return ended.code or 0
        return 0

    return run


@pytest.fixture
def train(tiny_cfg, tmp_path, complete, clean_catalog, monkeypatch):
    """A function (name, labels, layer, side, weights) that trains two steps on a scene with these
    labels: the weights it began with, and the path of its checkpoint."""
    monkeypatch.setattr(trainer, "write_run_pictures", lambda folder: None)
    monkeypatch.setattr(trainer, "draw_page", lambda cfg: None)

    def run(name, vector, layer, side, weights=""):
        layer = f", layer: {layer}" if layer else ""
        text = SPEC.format(name=name, vector=vector, layer=layer, side=side)
        (tmp_path / f"{name}.yaml").write_text(text)
        cfg = tiny_cfg.clone()
        cfg.DATASETS.SPECS = (str(tmp_path / f"{name}.yaml"),)
        cfg.DATASETS.LABELED = (f"{name}_1_1_labeled",)
        cfg.DATASETS.UNLABELED = (f"{name}_1_1_unlabeled",)
        cfg.MODEL.NUM_CLASSES = 0
        for student in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL):
            student.BACKBONE.TRAINABLE = [""]
            student.HEAD.DIM, student.HEAD.UP_DIMS = 16, (16, 8)
        cfg.INPUT.RESIZE = "none"
        cfg.SOLVER.MAX_ITER, cfg.TEST.EVAL_PERIOD, cfg.TEST.SNAPSHOTS = 2, 0, 0
        cfg.MODEL.WEIGHTS, cfg.OUTPUT_DIR = str(weights), str(tmp_path / f"out_{name}")
        cfg = complete(cfg, training=True)
        Path(cfg.OUTPUT_DIR).mkdir()
        Path(cfg.OUTPUT_DIR, "config.yaml").write_text(cfg.dump())
        seed_all_rng(1)
        running = SemiSupervisedTrainer(cfg)
        running.resume_or_load(resume=False)
        begun = {key: value.clone() for key, value in running.model.state_dict().items()}
        running.train()
        return begun, Path(cfg.OUTPUT_DIR, "model_final.pth")

    return run


def square(source, top, left, side):
    """The square over these pixels of an opened raster."""
    west, north = source.xy(top, left, offset="ul")
    east, south = source.xy(top + side, left + side, offset="ul")
    return shapely.box(west, south, east, north)


def truth_of(source, shape):
    """What somebody who draws sees in a shape: plants where the near infrared is bright."""
    window = source.window(*shape.bounds).round_offsets().round_lengths()
    red, infrared = source.read([1, 4], window=window).astype(float).mean(axis=(1, 2))
    return NAMES[int(infrared > red)]


def draw(package, layer, scene):
    """Give every suggestion its class, or draw its lower right quarter into the layer `labels`."""
    from pyogrio import raw

    about, _, found, values = raw.read(package, layer="suggestions")
    shapes = shapely.from_wkb(found)
    with rasterio.open(scene) as source:
        named = [truth_of(source, shape) for shape in shapes]
    kinds = {"geometry_type": "Polygon", "crs": about["crs"], "driver": "GPKG"}
    if layer == "labels":
        quarters = []
        for west, south, east, north in shapely.bounds(shapes).tolist():
            quarters.append(shapely.box((west + east) / 2, south, east, (south + north) / 2))
        shapes, names = shapely.to_wkb(quarters), [np.array(named, object)]
        raw.write(package, shapes, names, ["class"], layer="labels", append=True, **kinds)
    else:
        values[0] = np.array(named, object)
        raw.write(package, found, values, about["fields"], layer="suggestions", **kinds)
    return named


@pytest.mark.parametrize(
    ("make", "side", "count", "layer"),
    [(made_scene, 32, 3, "labels"), (naip, 64, 6, "suggestions")],
    ids=["made", "naip"],
)
def test_the_whole_circle(make, side, count, layer, train, run_tool, tmp_path):
    scene = tmp_path / "scenes/scene.tif"
    make(scene)
    with rasterio.open(scene) as source:
        far = source.width - source.width % side - side
        first = [square(source, 0, left, side) for left in (0, far)]
        drawn = [(shape, name) for shape, name in zip(first, NAMES, strict=True)]
        write_vector(tmp_path / "labels.gpkg", drawn, crs=source.crs.to_string())

    _, weights = train(f"first_{layer}", "labels.gpkg", None, side)
    maps, out = tmp_path / "maps", tmp_path / "suggestions"
    given = ["--weights", weights, "--input", tmp_path / "scenes", "--output", maps]
    assert run_tool("predict", *given, "--entropy", "--disagreement") == 0
    given = ["--input", maps, "--output", out, "--scenes", tmp_path / "scenes"]
    given += ["--labeled", tmp_path / "labels.gpkg", "--count", count, "--window", side]
    assert run_tool("suggest_labels", *given) == 0
    named = draw(out / "suggestions.gpkg", layer, scene)
    assert len(named) == count

    before = torch.load(weights, weights_only=True)["model"]
    begun, _ = train(f"second_{layer}", "suggestions/suggestions.gpkg", layer, side, weights)
    assert begun.keys() == before.keys()
    assert all(torch.equal(begun[key], before[key]) for key in before)

    # Every window that was suggested is a labelled sample now, with what was drawn in it.
    spec, records = get_spec(f"second_{layer}"), get_records(f"second_{layer}_1_1_labeled")
    by_place = {record["window"][:2]: record for record in records}
    with open(out / "suggestions.csv", newline="") as file:
        places = [(int(row["row"]), int(row["column"])) for row in csv.DictReader(file)]
    quarter = np.zeros((side, side), bool)
    quarter[side // 2 :, side // 2 :] = True
    for place, name in zip(places, named, strict=True):
        image, classes = load_labeled(by_place[place], spec)
        expected = quarter if layer == "labels" else np.ones_like(quarter)
        valid = True if image.valid is None else image.valid
        assert ((classes == NAMES.index(name)) == (expected & valid)).all()
        assert ((classes == 255) == ~(expected & valid)).all()
