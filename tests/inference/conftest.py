"""A network that knows the answer, and the weights of a tiny real one."""

import json
import shutil

import numpy as np
import pytest
import torch

from co2s.d2 import build_model
from co2s.data.carried import KEY, Carried, CarriedClass
from co2s.inference.scene import Picture

CLASSES = tuple(CarriedClass(f"class {n}", (n * 40, 255 - n * 40, n)) for n in range(6))


class Brightness:
    """Two students that say the class of a pixel from its first band: its sixth of 0 to 255.

    `seen` are the shapes of the batches that it was given.
    """

    num_bands, num_classes, names = 3, 6, ("global", "local")

    def __init__(self):
        self.seen = []

    def logits(self, images):
        self.seen.append(tuple(images.shape))
        centers = torch.arange(6).view(1, 6, 1, 1) * 42.7 + 21.35
        logits = -(images[:, :1].float() - centers).abs()
        return torch.cat([logits, 0.5 * logits], dim=1)

    def maps(self, logits):
        first, second = (part.softmax(dim=0) for part in logits.split(6))
        return {"sem_seg": first, "sem_seg_global": first, "sem_seg_local": second}

    @staticmethod
    def truth(bands):
        """The classes of bands (H, W, C)."""
        return np.minimum(bands[..., 0] / 42.7, 5).astype(np.uint8)


@pytest.fixture
def brightness():
    return Brightness()


@pytest.fixture
def picture():
    """A function (height, width, seed) -> a scene of smooth brightness without invalid pixels."""

    def make(height, width, seed=0):
        rng = np.random.default_rng(seed)
        bands = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        return Picture("picture.png", bands, np.ones((height, width), bool))

    return make


@pytest.fixture(scope="session")
def carried():
    return Carried("toy", CLASSES)


@pytest.fixture
def weights(tiny_cfg, carried, complete, tmp_path):
    """A function (carried, *opts) -> the checkpoint of a tiny untrained model."""

    def make(known=carried, *opts):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        tiny_cfg.MODEL.NUM_CLASSES = len(known.classes)
        tiny_cfg.MODEL.NUM_BANDS = len(known.raster.bands) if known.raster else 3
        cfg = complete(tiny_cfg, "TEST.WINDOW_BATCH", 3, *opts)
        torch.manual_seed(0)
        model = build_model(cfg)
        torch.save({"model": model.state_dict(), KEY: known.to_dict()}, folder / "model_final.pth")
        shutil.copy(tmp_path / "given.yaml", folder / "config.yaml")
        if opts:  # as a run writes them
            (folder / "config.yaml").write_text(cfg.dump())
        return str(folder / "model_final.pth")

    return make


def record_of(output, name):
    return json.loads((output / f"{name}.json").read_text())
