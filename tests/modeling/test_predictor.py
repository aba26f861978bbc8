"""DefaultPredictor: what reaches the model, and what is refused by name."""

import numpy as np
import pytest
import torch

from co2s.d2 import DefaultPredictor, DetectionCheckpointer, build_model


@pytest.fixture
def predictor(tiny_cfg, tmp_path):
    """A function (bands) -> a predictor of a random model, and the images that its model gets."""

    def make(bands):
        tiny_cfg.MODEL.NUM_BANDS = bands
        DetectionCheckpointer(build_model(tiny_cfg), str(tmp_path)).save("weights")
        tiny_cfg.MODEL.WEIGHTS = str(tmp_path / "weights.pth")
        made, seen = DefaultPredictor(tiny_cfg), []
        real = made.model
        made.model = lambda items: seen.append(items[0]["image"]) or real(items)
        return made, seen

    return make


def test_colours_are_turned_round_and_further_bands_are_not(predictor):
    rgbn = np.full((32, 40, 4), (40, 90, 150, 220), np.uint8)
    model, seen = predictor(4)
    assert model(rgbn)["sem_seg"].shape == (6, 32, 40)
    assert seen[0][:, 0, 0].tolist() == [40, 90, 150, 220]
    model, seen = predictor(3)
    model(rgbn[..., 2::-1])
    assert seen[0][:, 0, 0].tolist() == [40, 90, 150], "BGR in, as OpenCV reads it"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: None, "The image is None"),
        (lambda image: image[..., 0], "A grey image"),
        (lambda image: np.dstack([image, image[..., 0]]), "alpha"),
        (lambda image: image.transpose(2, 0, 1), "The bands come first"),
        (lambda image: image.astype(np.uint16) * 257, "uint16"),
        (lambda image: (image / 255).astype(np.float32), "float32"),
        (lambda image: torch.from_numpy(image), "torch.Tensor"),
    ],
)
def test_what_does_not_fit_is_refused(predictor, change, words):
    model, seen = predictor(3)
    image = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=words):
        model(change(image))
    assert not seen
