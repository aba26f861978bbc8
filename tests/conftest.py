"""Fixtures that all tests share: a tiny configuration, a random batch, scripts as modules."""

import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from html import unescape

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run in parallel, one core each
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may ask the network, or wait for it
# None but for `make test-gpu`: tests are the same everywhere, and two processes need no two GPUs.
os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CO2S_TEST_GPUS", "")

import cv2
import pytest
import torch
import yaml

from co2s.config import get_co2s_cfg
from co2s.d2 import META_ARCH_REGISTRY, DatasetCatalog, MetadataCatalog
from co2s.data import catalog
from co2s.engine import load_cfg
from co2s.engine.config import known_methods
from co2s.engine.report import options

cv2.setNumThreads(0)  # one core each; and a process that a test forks has no pool to wait for


@pytest.fixture
def tiny_cfg():
    """Two ViTs of 2 layers, 32 channels and patch 8, for 6 classes and crops of 32 pixels."""
    cfg = get_co2s_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.NUM_CLASSES = 6
    for student in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL):
        student.BACKBONE.FEATURES = [0, 0, 1]
        student.BACKBONE.WIDTH = 32
        student.BACKBONE.DEPTH = 2
        student.BACKBONE.HEADS = 2
        student.BACKBONE.PATCH_SIZE = 8
        student.HEAD.DIM = 32
        student.HEAD.UP_DIMS = (32, 16)
        student.HEAD.SKIP_DIMS = (8, 4)
        student.HEAD.DILATIONS = (1, 2, 3)
    cfg.MODEL.GLOBAL.BACKBONE.IMAGE_SIZE = 32
    cfg.MODEL.GLOBAL.BACKBONE.OUTPUT_DIM = 24
    for teacher, patch in (("DINO", 14), ("CLIP", 8)):  # frozen ones, at random
        node = cfg.MODEL.RSMTDF[teacher].BACKBONE
        node.WEIGHTS, node.WIDTH, node.DEPTH, node.HEADS = "", 24, 1, 2
        node.PATCH_SIZE, node.IMAGE_SIZE, node.OUTPUT_DIM = patch, 2 * patch, 12
    cfg.MODEL.RSMTDF.CLIP.SIDE = 16
    cfg.INPUT.CROP_SIZE = 32
    cfg.SOLVER.MAX_ITER = 10
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.SEED = 0
    cfg.DATALOADER.NUM_WORKERS = 0
    return cfg


@pytest.fixture
def complete(tmp_path):
    """A function (cfg, *opts, **load_cfg's) -> what `load_cfg` makes of a file that holds cfg."""

    def load(cfg, *opts, **keywords):
        path = tmp_path / "given.yaml"
        write_given(cfg, path)
        return load_cfg(str(path), opts, **keywords)

    return load


def write_given(cfg, path):
    """Write the values of cfg that are not the default ones, as a user would give them."""
    default, found = options(get_co2s_cfg()), options(cfg)
    content = {}
    for key, value in found.items():
        if key not in default or default[key] != value:
            *sections, last = key.split(".")
            node = content
            for section in sections:
                node = node.setdefault(section, {})
            node[last] = value
    path.write_text(yaml.safe_dump(content))


@pytest.fixture
def random_batch():
    """A function (batch, size, num_classes, seed, views) -> a Batch of `co2s.structures`."""
    return make_batch


METHODS = [name for name, kind in known_methods().items() if kind.segments]


@pytest.fixture(params=METHODS)
def any_method(request):
    """Every registered method of segmentation, one after another."""
    return request.param


@pytest.fixture
def method_batch():
    """A function (cfg, seed) -> a random batch with the views that the configured method wants."""

    def draw(cfg, seed=0):
        views = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE).views(cfg)
        return make_batch(seed=seed, views=views.strong if views else 0)

    return draw


@pytest.fixture
def eager():
    """A function (cfg) that has every method learn from its first pseudo-label on."""

    def set_keys(cfg):
        for node in cfg.MODEL.values():
            if "CLASS_THRESHOLDS" in (node if isinstance(node, dict) else ()):
                node.THRESHOLD = 0.0
        cfg.MODEL.DWL.WARMUP = cfg.MODEL.U2PL.WARMUP = 0
        cfg.MODEL.U2PL.ANCHOR_PROBABILITY = 0.0

    return set_keys


@pytest.fixture(scope="session")
def load_script():
    """A function (path) -> a file of no package, such as a tool, as a module of its own."""

    def load(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, "setup_logger"):
            module.setup_logger = lambda **_: None  # it keeps what pytest closes after a test
        return module

    return load


@pytest.fixture
def log(caplog, monkeypatch):
    """What co2s logs, also after some other test has set up a run's own log."""
    monkeypatch.setattr(logging.getLogger("co2s"), "propagate", True)
    caplog.set_level(logging.INFO, logger="co2s")
    return caplog


@pytest.fixture
def stops(capsys):
    """A context (words) in which a tool ends with exit code 2 and one message, which they match.

    It gives a list that holds the message afterwards.
    """

    @contextmanager
    def expect(words):
        said = []
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            yield said
        said.append(capsys.readouterr().err)
        assert stopped.value.code == 2
        assert re.search(words, said[0]), said[0]
        assert "Traceback" not in said[0]

    return expect


@pytest.fixture
def clean_catalog(monkeypatch):
    """What a test registers is gone after it."""
    before = set(DatasetCatalog.list())
    monkeypatch.setattr(catalog, "_ENTRIES", dict(catalog._ENTRIES))
    monkeypatch.setattr(catalog, "_OWNERS", dict(catalog._OWNERS))
    yield
    for name in set(DatasetCatalog.list()) - before:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


LOOK = """<script>
const faults = [], asked = [];
addEventListener("error", e => faults.push(e.message));
document.addEventListener("securitypolicyviolation", e => asked.push(e.blockedURI));
addEventListener("load", () => {  // of the images, too, so that nothing is left to wait for
  const images = [...document.images], bad = images.filter(i => !i.naturalWidth).map(i => i.alt);
  const found = {images: images.length, bad, faults, asked,
    width: document.documentElement.scrollWidth,
    empty: [...document.querySelectorAll("svg.plot")].filter(s => !s.getBBox().width).length};
  document.title = JSON.stringify(found);
});</script>"""


@pytest.fixture
def in_browser(tmp_path):
    """A function (page, width) -> what Chromium finds in a page, with no network to reach."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")

    def look(page, width=1280):
        text = page.read_text(encoding="utf-8")
        copy = tmp_path / f"looked_at_{width}.html"
        assert text.count("default-src &#x27;none&#x27;") == 1
        text = text.replace("default-src", "script-src &#x27;unsafe-inline&#x27;; default-src")
        head = text.index("</title>") + len("</title>")
        copy.write_text(text[:head] + LOOK + text[head:], encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options += ["--virtual-time-budget=20000", "--host-resolver-rules=MAP * ~NOTFOUND"]
        options += ["--enable-logging=stderr", f"--window-size={width},2000", "--dump-dom"]
        options += [f"--user-data-dir={tmp_path / 'chromium'}", copy.as_uri()]
        done = subprocess.run([chromium, *options], capture_output=True, text=True, timeout=120)
        title = re.search("<title>(.*?)</title>", done.stdout, re.DOTALL)
        assert title and title[1].startswith("{"), done.stderr[-2000:]
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return json.loads(unescape(title[1])) | {"console": console}

    return look


def make_batch(batch: int = 2, size: int = 32, num_classes: int = 6, seed: int = 0, views=2):
    generator = torch.Generator().manual_seed(seed)

    def draw(high, *shape):
        return torch.randint(0, high, shape, generator=generator)

    def view():
        return {
            "image": draw(256, 3, size, size).byte(),
            "strong": draw(256, views, 3, size, size).byte(),
            "valid": draw(5, size, size) > 0,
            "cutmix": draw(2, views, size, size).bool(),
        }

    labeled = [
        {"image": draw(256, 3, size, size).byte(), "sem_seg": draw(num_classes, size, size)}
        for _ in range(batch)
    ]
    labeled[0]["sem_seg"][:4] = 255
    unlabeled = [{**view(), "partner": view(), "seed": 100 * seed + i} for i in range(batch)]
    return {"labeled": labeled, "unlabeled": unlabeled}
