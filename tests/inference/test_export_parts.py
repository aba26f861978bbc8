"""What the files of a bundle say in words, and how they are held against the model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from co2s.data.spec import RasterSpec, ScaleSpec
from co2s.inference.export import OnnxModel
from co2s.inference.export.card import card
from co2s.inference.export.facts import facts_of
from co2s.inference.export.graph import Graph
from co2s.inference.export.onnx_writer import check_size, metadata
from co2s.inference.export.parity import Expected, compare, expected_of
from co2s.inference.export.selection import select
from co2s.inference.export.stac import properties
from co2s.inference.export.windows import Windows, cut_from, drawn

from .exports import CARRIED, grown, images, one_student

RASTER = RasterSpec(bands=(4, 1, 2, 3), scale=ScaleSpec("range", (0.0,), (1000.0,)))


@pytest.fixture
def facts():
    """Those of a model of four bands of 16 bits."""
    cfg = one_student()
    cfg.MODEL.NUM_BANDS = 4
    return facts_of(cfg, replace(CARRIED, raster=RASTER), select(cfg, grown(cfg)), 24)


def test_four_bands_and_their_scaling_are_told(facts):
    text = card("a name", facts, "", {}, Windows(drawn(facts).images, "drawn"), ("onnx",))
    assert "the bands band_4, band_1, band_2, band_3, 8-bit values" in text
    assert "GeoDeep gives a model three" in text and '"range", "low": [0.0]' in text
    assert "license: other" in text and "has named no licence" in text
    entry = properties("a name", facts, "mit")["mlm:input"][0]
    assert entry["bands"] == ["band_4", "band_1", "band_2", "band_3"]
    assert entry["pre_processing_function"]["expression"]["scale"]["high"] == (1000.0,)
    found = metadata(facts)
    assert found["standardization_mean"] == "[0.0, 0.0, 0.0, 0.0]" and '"bands"' in found["co2s"]


def test_windows_are_read_by_the_rules_of_the_dataset(facts, tmp_path):
    from ..geo import write_raster

    bands = np.arange(4 * 20 * 60).reshape(4, 20, 60).astype(np.uint16) % 1000
    (tmp_path / "scenes").mkdir()
    write_raster(tmp_path / "scenes" / "a.tif", bands)
    found = cut_from(facts, tmp_path / "scenes")
    assert found.images.shape == (4, 4, 24, 24) and found.source == "cut from a.tif"
    left = round(36 / 5)  # the first of four places along the scene
    scaled = bands[[3, 0, 1, 2], :, left : left + 24] * (255 / 1000)
    assert np.abs(found.images[0, :, :20].numpy() - scaled).max() <= 0.5
    assert not found.images[:, :, 20:].any(), "the scene is lower than a tile"


def test_drawn_windows_are_always_the_same(facts):
    assert torch.equal(drawn(facts).images, drawn(facts).images)
    assert len(drawn(facts).images.flatten(1).unique(dim=0)) == 4


def test_pixels_of_equally_sure_students_are_counted_as_ties(tiny_cfg):
    """A model whose students are one and the same: rounding decides everywhere."""
    tiny_cfg.MODEL.GLOBAL = tiny_cfg.MODEL.LOCAL.clone()
    model = grown(tiny_cfg)
    x = images(1)
    graph = Graph(select(tiny_cfg, model).model, 32).eval()
    assert not expected_of(model, "fused", 1.0, graph, x).tied.all()
    model.students["global"].load_state_dict(model.students["local"].state_dict())
    graph = Graph(select(tiny_cfg, model).model, 32).eval()
    assert expected_of(model, "fused", 1.0, graph, x).tied.all()
    graph.fusion = "mean"
    assert not expected_of(model, "fused", 1.0, graph, x).tied.any()


def test_expectations_leave_the_model_as_it_was(tiny_cfg):
    model = grown(tiny_cfg)
    model.student_maps, model.window, model.stride = False, 16, 13
    graph = Graph(select(tiny_cfg, model, "local").model, 32).eval()
    found = expected_of(model, "local", 1.0, graph, images(2)).probabilities
    assert torch.allclose(found, graph(images(2) / 255.0), atol=1e-5), "in one window of 32"
    assert (model.student_maps, model.window, model.stride) == (False, 16, 13)


def test_differences_are_what_they_are():
    want = torch.tensor([[0.6, 0.4], [0.5, 0.5]]).view(2, 2, 1, 1)
    found = torch.tensor([[0.3, 0.7], [0.48, 0.52]]).view(2, 2, 1, 1)
    tied = torch.tensor([True, False]).view(2, 1, 1)
    result = compare(Expected(want, tied), torch.zeros(2, 3, 1, 1), lambda x: found[: len(x)])
    assert result["largest_difference"] == pytest.approx(0.02)
    assert result["equal_classes"] == 0 and result["ties"] == 1


def test_a_network_too_large_for_onnx_is_refused(facts):
    check_size(replace(facts, parameters=180_000_000))
    with pytest.raises(ValueError, match=r"has 2\.2 GiB; a file of ONNX holds 2"):
        check_size(replace(facts, parameters=600_000_000))


def test_files_that_are_no_model_are_refused(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is the extra `onnx`")
    onnx = pytest.importorskip("onnx", reason="onnx is the extra `onnx`")
    with pytest.raises(FileNotFoundError, match=r"absent\.onnx: no such file"):
        OnnxModel(tmp_path / "absent.onnx")
    (tmp_path / "torn.onnx").write_bytes(b"\x08\x07torn")
    with pytest.raises(ValueError, match=r"torn\.onnx cannot be read as ONNX"):
        OnnxModel(tmp_path / "torn.onnx")
    entry = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], "foreign", [entry], [result])
    opsets = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(ValueError, match=r"foreign\.onnx does not say what co2s has to know"):
        OnnxModel(tmp_path / "foreign.onnx")
