"""One image in, one prediction out."""

import numpy as np
import pytest
import torch


@pytest.fixture
def image():
    """A BGR image of 6 x 10 pixels whose channels differ."""
    return np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)


@pytest.fixture
def cfg(d2, toy_cfg, toy_model, tmp_path):
    d2.DetectionCheckpointer(toy_model(), str(tmp_path)).save("weights")
    toy_cfg.MODEL.WEIGHTS = str(tmp_path / "weights.pth")
    toy_cfg.INPUT.MIN_SIZE_TEST = 0
    return toy_cfg


def test_image_as_it_is(d2, cfg, toy_model, image):
    for order in ("BGR", "RGB"):
        cfg.INPUT.FORMAT = order
        out = d2.DefaultPredictor(cfg)(image)
        channels = image if order == "BGR" else image[..., ::-1]
        mean = torch.from_numpy(channels.astype(np.float32)).mean((0, 1))
        assert torch.allclose(out["mean"], toy_model().linear(mean), atol=1e-4)
        assert out["size"] == (6, 10)
        assert not out["mean"].requires_grad


@pytest.mark.parametrize(
    ("shortest", "longest", "size"), [(3, 99, (3, 5)), (12, 15, (9, 15)), (7, 99, (7, 12))]
)
def test_size(d2, cfg, image, shortest, longest, size):
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = shortest, longest
    predictor = d2.DefaultPredictor(cfg)
    assert predictor(image)["size"] == size
    assert predictor(image.transpose(1, 0, 2))["size"] == size[::-1]
    assert predictor(image.astype(np.float32))["size"] == size


def test_what_the_model_sees(d2, cfg, image, monkeypatch):
    seen = []
    predictor = d2.DefaultPredictor(cfg)
    monkeypatch.setattr(predictor, "model", lambda batch: seen.append(batch) or [{}])
    cfg.INPUT.FORMAT = "GRAY"  # a change after construction has no effect
    predictor(image)
    ((item,),) = seen
    assert item["image"].dtype == torch.float32
    assert (item["height"], item["width"]) == (6, 10)
    assert torch.equal(item["image"], torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1))


def test_resized_as_in_detectron2(lite, real, image):
    from co2s.d2.lite.predictor import _new_size, _resize

    transforms = pytest.importorskip("detectron2.data.transforms")
    for shortest, longest in ((3, 99), (12, 15), (7, 99), (17, 1333)):
        resize = transforms.ResizeShortestEdge([shortest, shortest], longest)
        for picture in (image, image[:, ::-1], image.astype(np.float32), image[:, :4]):
            theirs = resize.get_transform(picture).apply_image(picture)
            size = _new_size(*picture.shape[:2], shortest, longest)
            assert np.array_equal(_resize(picture, *size), theirs)


def test_metadata(d2, cfg):
    assert not hasattr(d2.DefaultPredictor(cfg), "metadata")
    cfg.DATASETS.TEST = ("toy_predictor",)
    assert d2.DefaultPredictor(cfg).metadata.name == "toy_predictor"
    d2.MetadataCatalog.remove("toy_predictor")


def test_unknown_format(d2, cfg):
    cfg.INPUT.FORMAT = "GRAY"
    with pytest.raises(AssertionError, match="GRAY"):
        d2.DefaultPredictor(cfg)


def test_build_model(d2, toy_cfg):
    assert type(d2.build_model(toy_cfg)).__name__ == "ToyModel"
    toy_cfg.MODEL.META_ARCHITECTURE = "Nobody"
    with pytest.raises(KeyError, match="Nobody"):
        d2.build_model(toy_cfg)
