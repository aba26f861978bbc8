"""What a backbone writes (`to_file`) its own `load` reads strictly, to the same features."""

import pytest
import torch
from safetensors.torch import save_file

from co2s.modeling.backbone import build_backbone
from co2s.modeling.backbone.clip_formats import quick_gelu
from co2s.modeling.guidance.text.encoder import TextEncoder
from co2s.modeling.weights import WeightsError

from .formats import seeded

KINDS = {
    "clip": ("GLOBAL", {}),
    "clip_sin_cos": ("GLOBAL", {"POSITIONS": "sin_cos_2d", "MODEL": "ViT-B-16"}),
    "vit": ("LOCAL", {"MODEL": "vit_base_patch16_224", "IMAGE_SIZE": 32}),
    "dinov2_registers": ("LOCAL", {"MODEL": "vit_base_patch14_reg4_dinov2", "IMAGE_SIZE": 32}),
    "dinov3": ("LOCAL", {"MODEL": "vit_base_patch16_dinov3", "LAYER_SCALE": 0.5}),
    "dinov3_qkvb": ("LOCAL", {}),
    "beit": ("LOCAL", {"NAME": "BeitViT", "MODEL": "beitv2_base_patch16_224", "IMAGE_SIZE": 32}),
}


@pytest.fixture
def backbone(tiny_cfg):
    """A function (kind, weights, bands, **other keys) -> the backbone, built and loaded."""

    def build(kind, weights="", bands=3, **keys):
        name, own = KINDS[kind]
        node = tiny_cfg.MODEL[name].clone()
        node.BACKBONE.update(own | keys)
        node.BACKBONE.WEIGHTS = str(weights)
        return build_backbone(node, bands).eval()

    return build


def write(trained, path, half=False):
    tensors = {k: x.detach().contiguous() for k, x in trained.to_file().items()}
    save_file({k: x.half() for k, x in tensors.items()} if half else tensors, path)
    return path


def same_features(one, two, bands=3):
    images = torch.randn(2, bands, 40, 32)
    found, expected = two(images), one(images)
    return all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bands", [3, 5])
def test_a_file_gives_the_same_features_bit_for_bit(backbone, tmp_path, kind, bands):
    trained = seeded(backbone(kind, bands=bands))
    again = backbone(kind, write(trained, tmp_path / "x.safetensors"), bands)
    state, own = trained.state_dict(), again.state_dict()
    assert state.keys() == own.keys() and all(torch.equal(state[k], own[k]) for k in own)
    assert same_features(trained, again, bands)


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_the_precision_is_that_of_float16(backbone, tmp_path, kind):
    trained = seeded(backbone(kind))
    again = backbone(kind, write(trained, tmp_path / "x.safetensors", half=True))
    for name, x in again.state_dict().items():
        assert x.dtype == torch.float32 or not x.is_floating_point()
        assert torch.equal(x, trained.state_dict()[name].half().to(x.dtype)), name


@pytest.mark.parametrize("kind", ["clip", "dinov3", "beit"])
def test_layers_that_no_map_needs_may_be_missing(backbone, tmp_path, kind):
    keys = {"DEPTH": 4, "FEATURES": [0, 0, 1]}
    trained = seeded(backbone(kind, **keys))
    path = write(trained, tmp_path / "x.safetensors")
    assert same_features(trained, backbone(kind, path, **keys))
    with pytest.raises(WeightsError, match="missing"):
        backbone(kind, path, DEPTH=4, FEATURES=[0, 1, 2])
    # Of the depth that the file itself has:
    assert same_features(trained, backbone(kind, path, DEPTH=2, FEATURES=[0, 0, 1]))


@pytest.mark.parametrize("kind", ["clip", "vit", "beit"])
def test_bands_that_do_not_agree_are_told(backbone, tmp_path, kind):
    path = write(seeded(backbone(kind, bands=5)), tmp_path / "x.safetensors")
    for bands in (3, 4):
        with pytest.raises(WeightsError, match=rf"have 5 bands, those of the model {bands} "):
            backbone(kind, path, bands)


@pytest.mark.parametrize("kind", ["clip", "vit", "beit"])
def test_three_bands_fit_more_of_which_the_new_ones_start_at_zero(backbone, tmp_path, kind):
    trained = seeded(backbone(kind))
    wide = backbone(kind, write(trained, tmp_path / "x.safetensors"), 5)
    images = torch.randn(1, 5, 32, 32)
    found, expected = wide(images), trained(images[:, :3])
    for name in expected:
        torch.testing.assert_close(found[name], expected[name])
    assert not any(p.any() for name, p in wide.named_parameters() if "extra_bands" in name)


@pytest.mark.parametrize("kind", ["clip", "dinov3"])
def test_another_number_of_heads_is_told_as_no_shape_does(backbone, tmp_path, kind):
    trained, path = seeded(backbone(kind)), tmp_path / "x.safetensors"
    tensors = {k: x.detach().contiguous() for k, x in trained.to_file().items()}
    save_file(tensors, path, {"heads": "2"})
    assert same_features(trained, backbone(kind, path))
    with pytest.raises(WeightsError, match=r"attention of 2 heads, the model has 4: .*HEADS 2"):
        backbone(kind, path, HEADS=4)  # BEiT's tables have a column for each head


def test_a_clip_file_has_no_text_encoder_and_says_so(backbone, tmp_path):
    path = write(backbone("clip"), tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"hold no text encoder.*GUIDANCE\.TEXT_WEIGHTS"):
        TextEncoder.load("ViT-B-16-quickgelu", str(path))


def test_a_file_says_its_activation_itself(tmp_path):
    path = str(tmp_path / "x.safetensors")
    for activation, expected in (("quick_gelu", True), ("gelu", False)):
        save_file({"x": torch.ones(1)}, path, {"activation": activation})
        assert quick_gelu("ViT-B-16", path) == quick_gelu("ViT-B-16-quickgelu", path) == expected
    save_file({"x": torch.ones(1)}, path)
    assert [quick_gelu(f"ViT-B-16{end}", path) for end in ("", "-quickgelu")] == [False, True]
