"""Class guidance: prototypes from files and stand-ins, learnable queries."""

import numpy as np
import pytest
import torch

from co2s.modeling.guidance import build_guidance
from co2s.modeling.guidance.text.prototypes import stand_in_prototypes


def test_prototypes_from_npy_and_npz_are_normalised(tiny_cfg, tmp_path):
    array = np.random.default_rng(0).normal(size=(6, 24)).astype(np.float32)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", prototypes=array)
    expected = torch.from_numpy(array / np.linalg.norm(array, axis=1, keepdims=True))
    for name in ("x.npy", "x.npz"):
        tiny_cfg.MODEL.GLOBAL.GUIDANCE.PROTOTYPES = str(tmp_path / name)
        torch.testing.assert_close(build_guidance(tiny_cfg.MODEL.GLOBAL, 6, 24)(), expected)


def test_prototypes_of_another_shape_or_no_file(tiny_cfg, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 24), np.float32))
    node = tiny_cfg.MODEL.GLOBAL
    node.GUIDANCE.PROTOTYPES = str(tmp_path / "x.npy")
    with pytest.raises(ValueError, match=r"shape \(5, 24\).*\(6, 24\). They were made for other"):
        build_guidance(node, 6, 24)
    node.GUIDANCE.PROTOTYPES = str(tmp_path / "y.npy")
    with pytest.raises(FileNotFoundError, match=r"y\.npy"):
        build_guidance(node, 6, 24)


def test_text_of_other_dimensions_than_the_backbone_says_what_to_do(tiny_cfg, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((6, 512), np.float32))
    node = tiny_cfg.MODEL.LOCAL
    node.GUIDANCE.NAME = "TextPrototypes"
    node.GUIDANCE.PROTOTYPES = str(tmp_path / "x.npy")
    expected = r"6 classes of 512 dimensions.*768 channels.*TEXT_MODEL .*ViT-L-14.*LearnableQueries"
    with pytest.raises(ValueError, match=expected):
        build_guidance(node, 6, 768)
    with pytest.raises(ValueError, match="ViTs have none"):
        build_guidance(node, 6, 7)


def test_no_prototypes_are_said(tiny_cfg, log):
    build_guidance(tiny_cfg.MODEL.GLOBAL, 6, 24)
    assert "orthogonal vectors stand in" in log.text


def test_stand_ins_are_orthogonal_and_always_the_same():
    vectors = stand_in_prototypes(6, 24)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(6), atol=1e-5, rtol=0)
    assert torch.equal(vectors, stand_in_prototypes(6, 24))
    with pytest.raises(ValueError, match="do not fit"):
        stand_in_prototypes(30, 24)


def test_queries_start_small(tiny_cfg):
    torch.manual_seed(0)
    queries = build_guidance(tiny_cfg.MODEL.LOCAL, 50, 100)()
    assert queries.shape == (50, 100)
    assert queries.std().item() == pytest.approx(0.02, rel=0.05)
