"""Scenes to rows of maps: the answer is known, whatever the size and the windows."""

import numpy as np
import pytest
import torch

from co2s.inference import blending
from co2s.inference.loading import load_model
from co2s.inference.network import StudentsNetwork, do, undo
from co2s.inference.pipeline import predict_rows
from co2s.inference.reading import Grid
from co2s.inference.scene import Picture

from .conftest import Brightness


def predicted(scene, network, factor=1.0, window=16, stride=12, batch=3, smooth=False):
    grid = Grid.of(scene.size, factor, smooth, window, stride)
    rows = [*predict_rows(scene, network, grid, stride, batch)]
    starts = np.cumsum([0, *(len(part.valid) for part in rows)])
    assert [part.start for part in rows] == starts[:-1].tolist()
    probs = torch.cat([part.maps["sem_seg"] for part in rows], dim=1)
    return probs, np.concatenate([part.valid for part in rows])


@pytest.mark.parametrize("size", [(50, 40), (16, 16), (7, 100), (100, 5), (1, 1), (33, 17)])
def test_every_pixel_gets_its_class(brightness, picture, size):
    scene = picture(*size)
    probs, valid = predicted(scene, brightness)
    assert (probs.argmax(dim=0).numpy() == brightness.truth(scene.bands)).all()
    assert valid.all()


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_size_of_a_batch_changes_nothing(brightness, picture, batch):
    scene = picture(40, 50)
    probs, _ = predicted(scene, brightness, batch=batch)
    alone, _ = predicted(scene, brightness, batch=4)
    torch.testing.assert_close(probs, alone)
    assert max(shape[0] for shape in brightness.seen) <= batch or batch == 1


def test_windows_without_a_valid_pixel_are_left_out(brightness, picture):
    scene = picture(60, 60)
    scene.valid[:40], scene.valid[:, :20] = False, False
    scene.valid[0, 0] = True
    probs, valid = predicted(scene, brightness, window=12, stride=12, batch=1)
    assert (valid == scene.valid).all()
    assert len(brightness.seen) == 1 + 2 * 4, "the corner's, and those of the lower right"
    right = probs.argmax(dim=0).numpy() == brightness.truth(scene.bands)
    assert right[scene.valid].all()


class Counted(Picture):
    """Notes which rows are read."""

    def rows(self, start, stop):
        self.__dict__.setdefault("asked", []).append((start, stop))
        return super().rows(start, stop)


@pytest.mark.parametrize(
    ("factor", "smooth"), [(1.0, False), (0.3, True), (0.2, False), (2.5, False)]
)
def test_every_row_is_read_once_and_in_pieces(brightness, factor, smooth):
    bands = np.full((90, 20, 3), 50, np.uint8)
    scene = Counted("counted.png", bands, np.random.default_rng(0).random((90, 20)) > 0.5)
    probs, valid = predicted(scene, brightness, factor, window=8, stride=8, smooth=smooth)
    assert (valid == scene.valid).all()
    assert probs.shape == (6, 90, 20)
    assert (probs.argmax(dim=0).numpy() == 1)[valid].all()
    stops = [stop for _, stop in scene.asked]
    assert [start for start, _ in scene.asked] == [0, *stops[:-1]]
    assert stops[-1] == 90
    assert len(stops) > 1


def test_a_coarser_scene_is_seen_enlarged_and_comes_back_on_its_own_grid(brightness):
    bands = np.zeros((30, 40, 3), np.uint8)
    bands[:, 20:] = 230
    probs, _ = predicted(Picture("x.png", bands, np.ones((30, 40), bool)), brightness, 2.0)
    classes = probs.argmax(dim=0).numpy()
    assert (classes[:, :19] == 0).all()
    assert (classes[:, 21:] == 5).all()
    assert all(shape[2:] == (16, 16) for shape in brightness.seen)


@pytest.mark.parametrize("scale", [1.0, 0.5, 1.5])
def test_one_window_is_what_the_predictor_says(weights, picture, scale):
    """Where nothing is blended the maps are those of `Students.inference`."""
    _, model, carried = load_model("", weights(), ["INPUT.TEST_SCALE", scale])
    scene = picture(20, 21)
    network = StudentsNetwork(model, len(carried.classes))
    probs, _ = predicted(scene, network, scale, window=model.window, stride=model.stride)
    image = torch.from_numpy(scene.bands).permute(2, 0, 1)
    alone = model([{"image": image, "height": 20, "width": 21}])[0]
    torch.testing.assert_close(probs, alone["sem_seg"], rtol=1e-4, atol=1e-5)


class Nearsighted(Brightness):
    """Says the class of the mean around a pixel, for which a window's edge is black beyond."""

    def logits(self, images):
        return super().logits(torch.nn.functional.avg_pool2d(images.float(), 5, 1, 2))


def seams(scene, offset):
    """The share of pixels that keep their class when the windows begin elsewhere."""
    moved = Picture("moved.png", scene.bands[offset:, offset:], scene.valid[offset:, offset:])
    first, second = (
        predicted(s, Nearsighted(), window=48, stride=24)[0].argmax(dim=0) for s in (scene, moved)
    )
    inside = (slice(offset, -8), slice(offset, -8))  # the scene's own edge is where it was
    return (first[offset:, offset:][inside] == second[inside]).float().mean()


@pytest.mark.parametrize("offset", [5, 12, 19])
def test_windows_that_begin_elsewhere_make_the_same_map(offset, monkeypatch):
    rng = np.random.default_rng(0)
    blobs = rng.integers(0, 256, (12, 12, 3)).astype(np.uint8)
    bands = np.kron(blobs, np.ones((20, 20, 1), np.uint8))
    scene = Picture("blobs.png", bands, np.ones((240, 240), bool))
    assert seams(scene, offset) > 0.995
    monkeypatch.setattr(blending, "slope", lambda length, overlap: torch.ones(length))
    assert seams(scene, offset) < 0.99, "a plain mean shows the edges of the windows"


def test_eight_looks_are_the_mean_of_eight(weights):
    _, model, _ = load_model("", weights())
    images = torch.randint(0, 256, (2, 3, 32, 24)).byte()
    plain = StudentsNetwork(model, 6)
    looks = [
        undo(plain.logits(do(images, turns, mirrored)), turns, mirrored)
        for turns in range(4)
        for mirrored in (False, True)
    ]
    found = StudentsNetwork(model, 6, tta=True).logits(images)
    torch.testing.assert_close(found, torch.stack(looks).mean(dim=0), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, looks[0], atol=1e-4)
