"""The files of a bundle: each read by the programs that it is for, and as near as it claims."""

import hashlib
import json
import socket
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from co2s.inference.export import OnnxModel, export_bundle, load_bundle
from co2s.inference.export.facts import facts_of
from co2s.inference.export.graph import Graph
from co2s.inference.export.onnx_writer import write_onnx
from co2s.inference.export.selection import select
from co2s.inference.export.torch_file import exported, load_program, write_program
from co2s.inference.layers import Wanted
from co2s.inference.run import Job, Predictor, opened
from co2s.inference.scene_maps import predict_scene
from co2s.inference.sources import Source
from tests.geo import rasterio, write_raster

from .exports import CARRIED, NAMES, grown, images, one_student

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is the extra `onnx`")
pytest.importorskip("onnxscript", reason="onnxscript is the extra `onnx`")

TILE = 32


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(model, folder): a small model and the bundle of it, seen at 1.5 times its size."""
    cfg = one_student()
    cfg.INPUT.TEST_SCALE, cfg.TEST.WINDOW_SIZE = 1.5, 48
    model, folder = grown(cfg), tmp_path_factory.mktemp("export") / "bundle"
    results = export_bundle(cfg, model, CARRIED, folder, license_name="cc-by-4.0")
    assert set(results) == {"model.onnx", "model_static.onnx", "model.pt2", "model.safetensors"}
    return model, folder


@pytest.fixture(scope="module")
def expected(made):
    """(images (3, C, S, S) uint8, the model's own probabilities)."""
    x = images(3)
    return x, torch.stack([made[0].inference([{"image": image}])[0]["sem_seg"] for image in x])


def test_everything_is_there_and_says_how_near_it_is(made):
    _, folder = made
    assert {path.name for path in folder.iterdir()} == {
        *("model.onnx", "model_static.onnx", "model.pt2", "model.safetensors"),
        *("config.json", "README.md", "item.json", "parity.json"),
    }
    proof = json.loads((folder / "parity.json").read_text())
    assert proof["tile"] == TILE and "no real images" in proof["source"]
    assert len(proof["files"]) == 4
    for found in proof["files"].values():
        assert 0 <= found["largest_difference"] <= 1e-4 and found["equal_classes"] == 1


@pytest.mark.parametrize("name", ["model.onnx", "model_static.onnx"])
def test_onnx_is_the_model(made, expected, name):
    x, probabilities = expected
    model = OnnxModel(made[1] / name)
    assert (model.num_bands, model.window, model.resolution) == (3, TILE, 0.5)
    assert model.raster is None
    assert [entry.name for entry in model.classes] == [*NAMES]
    assert [entry.value for entry in model.classes] == [*range(6)]
    assert model.classes[2].color == (80, 170, 9)
    for given in (x, x.float()):
        assert torch.allclose(model(given), probabilities, atol=1e-4)
    with pytest.raises(ValueError, match=r"takes \(B, \(3, 32, 32\)\), found \(3, 3, 16, 16\)"):
        model(x[..., :16, :16])


def test_onnx_has_what_deepness_and_geodeep_read(made):
    shapes = {}
    for name in ("model.onnx", "model_static.onnx"):
        session = onnxruntime.InferenceSession(made[1] / name, providers=["CPUExecutionProvider"])
        (entry,), (result,) = session.get_inputs(), session.get_outputs()
        assert entry.type == result.type == "tensor(float)"
        shapes[name] = entry.shape, result.shape
    assert shapes["model.onnx"] == (["batch", 3, TILE, TILE], ["batch", 6, TILE, TILE])
    assert shapes["model_static.onnx"] == ([1, 3, TILE, TILE], [1, 6, TILE, TILE])
    found = session.get_modelmeta().custom_metadata_map
    found = {key: json.loads(value) for key, value in found.items()}
    assert found["model_type"] == "Segmentor"
    assert found["class_names"] == dict(zip("012345", NAMES, strict=True))
    assert found["resolution"] == 50
    assert found["tiles_size"] == found["tile_size"] == TILE
    assert found["tiles_overlap"] == 17
    assert found["standardization_mean"] == [0, 0, 0] and found["standardization_std"] == [1, 1, 1]
    assert found["seg_thresh"] == found["seg_small_segment"] == 0
    assert found["palette"]["5"] == [200, 50, 9]


def test_geodeep_makes_the_same_map(made, tmp_path):
    geodeep = pytest.importorskip("geodeep", reason="geodeep is the extra `dev`")
    from geodeep import geodeep as program
    from geodeep.segmentation import merge_mask
    from geodeep.slidingwindow import generate_for_size

    from ..geo import write_raster

    model, folder = made
    height, width, overlap = 75, 90, 0.17
    scene = images(1, side=96)[0, :, :height, :width]
    path = write_raster(tmp_path / "scene.tif", scene.numpy(), pixel=0.5)
    found = geodeep.segment(path, str(folder / "model.onnx"), output_type="raw")

    # Their windows and their way to put them together, our model in each of them.
    expected = np.zeros((height, width), np.uint8)
    for window in generate_for_size(width, height, TILE, overlap, clip=False):
        top, left = window.row_off, window.col_off
        tile = scene[None, :, top : top + TILE, left : left + TILE]
        classes = model.inference([{"image": tile[0]}])[0]["sem_seg"].argmax(dim=0)
        merge_mask(classes[None].numpy(), expected, window, width, height, overlap)
    assert len(np.unique(expected)) > 3
    assert np.array_equal(found, program.median_filter(expected, 5))


def test_torch_program_is_the_model(made, expected):
    x, probabilities = expected
    program = load_program(made[1] / "model.pt2")
    for count in (1, 3):
        found = program(x[:count].float() / 255)
        assert torch.allclose(found, probabilities[:count], atol=1e-5)


def test_onnx_predicts_the_scene_that_the_checkpoint_predicts(made, tmp_path):
    """Tiles of one window each, which is where both see the very same."""
    pixels = images(1, side=64)[0].numpy()
    scene = write_raster(tmp_path / "scene.tif", pixels, pixel=0.5)
    found = {}
    for name in ("model.onnx", "model_static.onnx"):
        job = Job("", str(made[1] / name), str(tmp_path / name), wanted=Wanted(("confidence",)))
        network, carried, plan = opened(job)
        predict_scene(
            Source(scene, "scene"), tmp_path / name, network, carried, replace(plan, stride=32)
        )
        with rasterio.open(tmp_path / name / "scene.tif") as file:
            found[name] = file.read(1)
    whole = np.zeros((64, 64), np.uint8)
    for top, left in ((0, 0), (0, 32), (32, 0), (32, 32)):
        image = torch.from_numpy(pixels[:, top : top + 32, left : left + 32])
        said = made[0].inference([{"image": image}])[0]["sem_seg"].argmax(dim=0)
        whole[top : top + 32, left : left + 32] = said
    for name, classes in found.items():
        assert (classes == whole).mean() > 0.999, name
    with pytest.raises(ValueError, match="one prediction as it was exported"):
        opened(Job("", str(made[1] / "model.onnx"), "out", student="local"))
    with pytest.raises(ValueError, match="this model has one"):
        opened(Job("", str(made[1] / "model.onnx"), "out", wanted=Wanted(("disagreement",))))


def test_a_scene_smaller_than_the_window_of_onnx_is_filled_up(made, tmp_path):
    scene = write_raster(tmp_path / "scene.tif", images(1, side=20)[0].numpy(), pixel=0.5)
    job = Job("", str(made[1] / "model.onnx"), str(tmp_path / "out"))
    Predictor(job).predict(Source(scene, "scene"))
    with rasterio.open(tmp_path / "out" / "scene.tif") as file:
        assert file.read(1).max() < 6


def test_folder_gives_the_model_back(made, expected):
    x, probabilities = expected
    cfg, model, carried = load_bundle(made[1])
    assert carried == CARRIED and cfg.MODEL.NUM_CLASSES == 6
    again = torch.stack([model.inference([{"image": image}])[0]["sem_seg"] for image in x])
    assert torch.allclose(again, probabilities, atol=1e-6)
    content = json.loads((made[1] / "config.json").read_text())
    assert content["id2label"]["3"] == "road" and content["label2id"]["road"] == 3
    assert content["num_channels"] == 3 and content["image_size"] == TILE


def test_card_is_hugging_face_s(made):
    from huggingface_hub import ModelCard

    card = ModelCard.load(made[1] / "README.md")
    assert card.data.license == "cc-by-4.0" and card.data.library_name == "co2s"
    assert card.data.pipeline_tag == "image-segmentation" and "onnx" in card.data.tags
    assert "1.5 times as large" in card.text and "no real images" in card.text
    for name in (*NAMES, "toy land", "`model_static.onnx`", "50 cm"):
        assert name in card.text
    yaml.safe_load((made[1] / "README.md").read_text().split("---")[1])


def test_item_is_stac(made, monkeypatch):
    schema = pytest.importorskip("stac_model.schema", reason="stac-model is the extra `dev`")
    from pystac.validation import validate_dict

    def refuse(*args):
        raise AssertionError("a test must not ask the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    item = json.loads((made[1] / "item.json").read_text())
    assert validate_dict(item, extensions=[])  # STAC itself; pystac brings its schemas
    model = schema.MLModelProperties(**item["properties"])
    assert model.name == "co2s-toy-land-fused" and model.tasks == {"semantic-segmentation"}
    assert model.framework == "pytorch" and model.pretrained_source is None
    assert model.total_parameters == sum(p.numel() for p in made[0].students.parameters())
    assert model.input[0].input.shape == [-1, 3, TILE, TILE]
    assert [entry.name for entry in model.output[0].classes] == [*NAMES]
    # What the package makes of it is what was written, but for what it adds of its own.
    again = json.loads(model.model_dump_json(by_alias=True))
    for key in again.keys() - {"mlm:input", "mlm:output", "mlm:accelerator"}:
        assert again[key] == item["properties"][key]
    files = {path.name: path for path in made[1].iterdir() if path.name != "item.json"}
    assert item["assets"].keys() == files.keys()
    for name, asset in item["assets"].items():
        content = files[name].read_bytes()
        assert asset["file:size"] == len(content) and asset["href"] == f"./{name}"
        assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
        is_model = {"mlm:model", "mlm:weights"} <= {*asset["roles"]}
        assert is_model == name.startswith("model") == ("mlm:artifact_type" in asset)


def pair(cfg):
    """CLIP's ViT with text prototypes and the guided head, fused with a plain DINOv3."""
    cfg.MODEL.GLOBAL.HEAD.CLASS_LAYERS = 1
    cfg.MODEL.LOCAL.HEAD.NAME, cfg.MODEL.LOCAL.GUIDANCE.NAME = "LinearHead", "NoGuidance"
    return cfg


def deeplab(cfg):
    """Four bands, the decoder of DeepLabV3+ with a linear layer beside it."""
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.STUDENTS = "OnlySup", ("local",)
    cfg.MODEL.NUM_BANDS = 4
    student = cfg.MODEL.LOCAL
    student.HEAD.NAME, student.HEAD.LINEAR_PATH = "DeepLabV3PlusHead", True
    student.GUIDANCE.NAME = "NoGuidance"
    return cfg


@torch.no_grad()
@pytest.mark.parametrize("kind", [pair, deeplab])
def test_every_part_of_a_network_can_be_exported(tiny_cfg, kind, tmp_path):
    cfg = kind(tiny_cfg)
    selection = select(cfg, grown(cfg))
    graph = Graph(selection.model, TILE, 1.5).eval()
    facts = facts_of(cfg, CARRIED, selection, TILE)
    program = exported(graph)
    write_program(tmp_path / "model.pt2", program, facts)
    write_onnx(tmp_path / "model.onnx", tmp_path / "static.onnx", program, facts)
    x = images(3, bands=selection.model.num_bands)
    expected = graph(x.float() / 255)
    assert torch.allclose(
        load_program(tmp_path / "model.pt2")(x.float() / 255), expected, atol=1e-5
    )
    for name in ("model.onnx", "static.onnx"):
        assert torch.allclose(OnnxModel(tmp_path / name)(x), expected, atol=1e-4)


def test_a_network_that_cannot_be_followed_is_refused():
    class Undecided(torch.nn.Module):
        def forward(self, images):
            return images if images.sum() > 0 else -images

        def example(self):
            return torch.ones(2, 3, 8, 8)

    with pytest.raises(ValueError, match=r"cannot follow this network .*Leave onnx and pt2 out"):
        exported(Undecided())
