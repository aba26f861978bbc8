"""Catalogues, samplers, image lists."""

from itertools import islice

import pytest
import torch


class TestDatasetCatalog:
    @pytest.fixture(autouse=True)
    def registered(self, d2):
        d2.DatasetCatalog.register("toy_d2", lambda: [{"file_name": "a.png"}])
        yield
        if "toy_d2" in d2.DatasetCatalog:
            d2.DatasetCatalog.remove("toy_d2")

    def test_get(self, d2):
        assert d2.DatasetCatalog.get("toy_d2") == [{"file_name": "a.png"}]
        assert "toy_d2" in d2.DatasetCatalog.list()
        assert "toy_d2" in str(d2.DatasetCatalog)

    def test_name_taken(self, d2):
        with pytest.raises(AssertionError, match="'toy_d2' is already registered"):
            d2.DatasetCatalog.register("toy_d2", list)

    def test_not_a_function(self, d2):
        with pytest.raises(AssertionError, match="function"):
            d2.DatasetCatalog.register("other_d2", [1])

    def test_unknown(self, d2):
        d2.DatasetCatalog.remove("toy_d2")
        with pytest.raises(KeyError, match="'toy_d2' is not registered"):
            d2.DatasetCatalog.get("toy_d2")


class TestMetadata:
    @pytest.fixture
    def metadata(self, d2):
        yield d2.MetadataCatalog.get("toy_d2")
        d2.MetadataCatalog.remove("toy_d2")

    def test_one_per_name(self, d2, metadata):
        metadata.stuff_classes = ["a", "b"]
        assert d2.MetadataCatalog.get("toy_d2") is metadata
        assert "toy_d2" in d2.MetadataCatalog.list()
        assert metadata.as_dict() == {"name": "toy_d2", "stuff_classes": ["a", "b"]}

    def test_values_do_not_change(self, metadata):
        metadata.set(ignore_label=255, colors=[1])
        metadata.ignore_label = 255
        with pytest.raises(AssertionError, match="'ignore_label' in the metadata of"):
            metadata.ignore_label = 0

    def test_absent(self, metadata):
        assert metadata.get("colors") is None
        assert metadata.get("colors", 1) == 1
        assert metadata.get("name") == "toy_d2"
        with pytest.raises(AttributeError, match="'toy_d2'"):
            metadata.colors  # noqa: B018
        metadata.size = 1
        with pytest.raises(AttributeError, match="size"):
            metadata.colors  # noqa: B018


def test_training_sampler_permutes_endlessly(d2):
    stream = list(islice(d2.TrainingSampler(5, seed=1), 15))
    rounds = [stream[:5], stream[5:10], stream[10:]]
    assert all(sorted(r) == [0, 1, 2, 3, 4] for r in rounds)
    assert rounds[0] != rounds[1]
    assert stream == list(islice(d2.TrainingSampler(5, seed=1), 15))
    assert stream != list(islice(d2.TrainingSampler(5, seed=2), 15))
    assert list(islice(d2.TrainingSampler(3, shuffle=False), 7)) == [0, 1, 2, 0, 1, 2, 0]


def test_training_sampler_wants_a_size(d2):
    with pytest.raises(TypeError, match="float"):
        d2.TrainingSampler(2.0)
    with pytest.raises(ValueError, match="0"):
        d2.TrainingSampler(0)


@pytest.mark.parametrize(("size", "processes"), [(1, 3), (7, 3), (8, 4), (5, 1)])
def test_inference_sampler_shares(d2, monkeypatch, size, processes):
    shares = []
    for rank in range(processes):
        monkeypatch.setattr(d2.comm, "get_world_size", lambda: processes)
        monkeypatch.setattr(d2.comm, "get_rank", lambda rank=rank: rank)
        sampler = d2.InferenceSampler(size)
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1])
    assert [index for share in shares for index in share] == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_trivial_batch_collator(d2):
    batch = [{"image": 1}]
    assert d2.trivial_batch_collator(batch) is batch


def test_image_list(d2):
    images = [torch.ones(2, 3, 5), torch.ones(2, 4, 2)]
    padded = d2.ImageList.from_tensors(images, 4, pad_value=-1)
    assert padded.tensor.shape == (2, 2, 4, 8)
    assert (padded.tensor == -1).sum() == 2 * 2 * 4 * 8 - 2 * (15 + 8)
    assert len(padded) == 2
    assert padded.image_sizes == [(3, 5), (4, 2)]
    assert torch.equal(padded[1], images[1])
    assert padded.to(torch.float64).tensor.dtype == torch.float64
    assert padded.device.type == "cpu"


def test_image_list_wants_images_of_one_kind(d2):
    with pytest.raises(AssertionError):
        d2.ImageList.from_tensors([])
    with pytest.raises(AssertionError):
        d2.ImageList.from_tensors([torch.ones(2, 3, 5), torch.ones(3, 3, 5)])


def test_backbone_shapes(d2):
    class Net(d2.Backbone):
        def __init__(self):
            super().__init__()
            self._out_features = ["f"]
            self._out_feature_channels = {"f": 8}
            self._out_feature_strides = {"f": 16}

        def forward(self, images):
            return {"f": images}

    assert Net().output_shape() == {"f": d2.ShapeSpec(channels=8, stride=16)}
    assert Net().size_divisibility == 0
    assert Net().padding_constraints == {}
    with pytest.raises(TypeError, match="abstract"):
        d2.Backbone()
