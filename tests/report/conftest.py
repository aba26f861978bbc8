"""The folder of a run, made by hand from what runs write, and a page as a parser sees it."""

import json
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from co2s.config import get_co2s_cfg
from co2s.evaluation.boundary import add_boundary_scores
from co2s.evaluation.confusion import scores
from co2s.evaluation.report import write_scores
from co2s.report import charts

# What a user may call a class: markup, the separator of scalars, other letters, formulas.
CLASSES = ['<b class="x">road</b>', "a/b & 'c'", "水 $x_1$"]
COLORS = [[10, 20, 30], [200, 100, 50], [0, 90, 200]]
TEST = "toy_val"
VOID = {"meta", "img", "br", "wbr", "input"}


class Parsed(HTMLParser):
    """Tags that do not match, ids, tables as text, texts of sections."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.tags, self.ids = [], [], Counter(), Counter()
        self.tables, self.sections, self.links = [], {}, []
        self.section = ""
        self.feed(text)
        self.close()
        self.faults += self.open

    def handle_starttag(self, name, attributes):
        found = dict(attributes)
        self.tags[name] += 1
        self.links += [found[key] for key in ("src", "href") if found.get(key)]
        if "id" in found:
            self.ids[found["id"]] += 1
        if name == "section":
            self.section = found["id"]
            self.sections[self.section] = ""
        if name == "table":
            self.tables.append([])
        if name == "tr":
            self.tables[-1].append([])
        if name in ("td", "th"):
            self.tables[-1][-1].append("")
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.tags[name] += 1

    def handle_endtag(self, name):
        if not self.open or self.open.pop() != name:
            self.faults.append(name)
        if name == "section":
            self.section = ""

    def handle_data(self, data):
        if self.section:
            self.sections[self.section] += data
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


@pytest.fixture
def parsed():
    """A function (page) -> Parsed."""
    return lambda path: Parsed(path.read_text(encoding="utf-8"))


@pytest.fixture
def no_charts(monkeypatch):
    """Charts are not drawn: where it is not about them, they are most of the time."""
    monkeypatch.setattr(charts, "_as_svg", lambda drawing, alt: "<svg></svg>")


@pytest.fixture
def run(tmp_path):
    """A function (name, seed, gain, **options) that makes a whole run's folder; returns it."""

    def make(name="run", seed=0, gain=0, **options):
        folder = tmp_path / name
        folder.mkdir()
        _config(folder, seed, options)
        _metrics(folder, gain)
        _scores(folder / "inference" / TEST, gain)
        _pictures(folder)
        _write(folder / "facts.json", _facts())
        _write(folder / "calibration.json", {n: _calibration() for n in ("global", "fused")})
        _write(folder / "report.json", {"chosen": {"iteration": 39}, "scores": {}, "options": {}})
        _write(folder / "twin.json", {"sentence": "The unlabelled images gave +2.3 <points>."})
        return folder

    return make


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _config(folder, seed, options):
    cfg = get_co2s_cfg()
    cfg.DATASETS.TEST = (TEST,)
    cfg.DATASETS.UNLABELED = ("toy_unlabeled",)
    cfg.SEED = seed
    cfg.OUTPUT_DIR = str(folder)
    cfg.merge_from_list([x for pair in options.items() for x in pair])
    (folder / "config.yaml").write_text(cfg.dump(), encoding="utf-8")


def _metrics(folder, gain):
    with open(folder / "metrics.json", "w", encoding="utf-8") as file:
        for i in range(10):
            part = i / 9
            record = {"iteration": 20 * i, "total_loss": 2 - part, "lr": 1e-3 * (1 - part)}
            record |= {"time": 0.5, "data_time": 0.01, "agreement": 0.5 + 0.4 * part}
            record |= {"sem_seg/mIoU": 40 + gain + 10 * part, "global/mIoU": 30 + 10 * part}
            for student in ("global", "local"):
                record |= {f"loss_sup_{student}": 1 - part / 2, f"loss_strong1_{student}": part}
                record |= {f"coverage/{student}": 0.12 + 0.71 * part, f"teaches/{student}": 0.3}
                record[f"precision/{student}"] = 0.9
                for name, value in zip(CLASSES, (0.04, 0.5, 0.9), strict=True):
                    record[f"coverage/{student}/{name}"] = value * part
                    record[f"pseudo_share/{student}/{name}"] = value / 1.44
                    record[f"precision/{student}/{name}"] = value
            for name, value in zip(CLASSES, (0.2, 0.3, 0.5), strict=True):
                record |= {f"label_share/{name}": value, f"agreement/{name}": value}
            file.write(json.dumps(record) + "\n")


def _scores(folder, gain):
    matrices = {
        name: np.array([[50 + more, 3, 7], [11, 40, 2], [0, 0, 0]])
        for name, more in (("global", 0), ("local", 5), ("fused", 9 + gain))
    }
    counts = np.array([[10, 7, 9, 6], [4, 4, 8, 5], [3, 0, 0, 0]])
    result = {name: scores(matrix, CLASSES) for name, matrix in matrices.items()}
    for values in result.values():
        add_boundary_scores(values, counts, False)
    folder.mkdir(parents=True)
    write_scores(
        str(folder),
        result,
        matrices,
        dataset=TEST,
        class_names=CLASSES,
        images=7,
        main="fused",
        absent_as_zero=False,
        boundaries=dict.fromkeys(result, counts),
        boundary_tolerance=3,
    )


def _facts():
    session = {"started": "2031-01-02T03:04:05+00:00", "ended": "2031-01-02T04:04:05+00:00"}
    return {
        "co2s": "1.2.3",
        "torch": "2.9",
        "python": "3.12",
        "device": "A <GPU>",
        "processes": 2,
        "data": {"labeled": {"toy_labeled": 30}, "test": {TEST: 7}},
        "classes": CLASSES,
        "colors": COLORS,
        "students": {"global": {"parameters": 3_000_000, "trained": 1_000_000}},
        "sessions": [session | {"seconds": 1800}, session | {"seconds": 3600}],
        "peak_memory": {"main": 2048},
    }


def _calibration():
    bins = [[0, 0.0, 0.0], [30, 0.5, 0.4], [70, 0.9, 0.7]]
    better = [[0, 0.0, 0.0], [30, 0.4, 0.4], [70, 0.7, 0.7]]
    return {
        "temperature": 1.7,
        "before": {"ece": 0.17, "bins": bins},
        "after": {"ece": 0.012, "bins": better},
    }


def _pictures(folder):
    panels = folder / "inference" / TEST / "panels"
    panels.mkdir(parents=True)
    entries = []
    for kind in ("best", "worst", "spread"):
        Image.new("RGB", (1300, 400), (90, 120, 30)).save(panels / f"{kind}.png")
        entries.append({"file": f"{kind}.png", "image": "x/<i>.png", "mIoU": 12.3, "kind": kind})
    _write(panels / "panels.json", {"panels": entries})
    rng = np.random.default_rng(0)
    image, label = rng.integers(0, 256, (2, 24, 24, 3)), rng.integers(0, 3, (2, 24, 24))
    box = np.zeros((2, 24, 24), bool)
    box[0, 4:12, 6:20] = True
    arrays = {"labeled": image, "weak": image, "strong1": image, "labeled_target": label}
    arrays = {name: value.astype(np.uint8) for name, value in arrays.items()}
    arrays |= {"valid": ~box, "box1": box}
    for view in ("weak", "strong1"):
        arrays |= {f"label/global/{view}": label.astype(np.uint8), f"kept/global/{view}": box}
    (folder / "snapshots").mkdir()
    files = {"labeled": ["a/<1>.png", "a/2.png"], "unlabeled": ["b/3.png", "b/4.png"]}
    for step in (1, 90, 180):
        about = {"step": step, "files": files, "classes": CLASSES, "colors": COLORS}
        path = folder / "snapshots" / f"step_{step:07d}.npz"
        np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)
