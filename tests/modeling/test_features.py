"""The layers that a backbone reads: how they are named, and that the others are gone."""

import pytest
import torch

from co2s.d2 import BACKBONE_REGISTRY
from co2s.modeling.backbone import build_backbone
from co2s.modeling.backbone.features import feature_layers

# Name of the backbone, its model, where its layers are.
KINDS = {
    "clip": ("CLIPViT", "ViT-B-16-quickgelu", "visual.transformer.resblocks"),
    "dinov3": ("TimmViT", "vit_base_patch16_dinov3_qkvb", "vit.blocks"),
    "plain": ("TimmViT", "vit_base_patch16_224", "vit.blocks"),
    "beit": ("BeitViT", "beitv2_base_patch16_224", "vit.blocks"),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def node(tiny_cfg, kind):
    """A student of three layers whose dense map is the second one's."""
    node = tiny_cfg.MODEL.GLOBAL if kind[0] == "CLIPViT" else tiny_cfg.MODEL.LOCAL
    node.BACKBONE.NAME, node.BACKBONE.MODEL = kind[:2]
    node.BACKBONE.DEPTH, node.BACKBONE.FEATURES, node.BACKBONE.IMAGE_SIZE = 3, [0, 1, 1], 32
    return node


def whole(node):
    """The backbone with all its layers, as it was before any was dropped; seeded."""
    torch.manual_seed(0)
    return BACKBONE_REGISTRY.get(node.BACKBONE.NAME)(node).eval()


def built(node):
    torch.manual_seed(0)
    return build_backbone(node).eval()


def test_layers_that_no_map_uses_are_dropped_and_the_maps_stay(node, kind, log):
    backbone, images = built(node), torch.randn(2, 3, 20, 32)
    assert len(backbone.get_submodule(kind[2])) == 2
    assert "Layers 2 to 2 of 3 are dropped" in log.text
    with torch.no_grad():
        found, expected = backbone(images), whole(node)(images)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_every_trained_parameter_gets_a_gradient(node):
    """Otherwise DistributedDataParallel stops at the second step."""
    node.BACKBONE.TRAINABLE = [""]
    backbone = built(node).train()
    sum(x.square().sum() for x in backbone(torch.randn(1, 3, 32, 32)).values()).backward()
    assert not [name for name, p in backbone.named_parameters() if p.grad is None]


def test_files_and_checkpoints_of_all_layers_load(node, kind, tmp_path, log):
    full = whole(node)
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.add_(torch.randn_like(parameter))
    state = full.state_dict()
    backbone = built(node)
    backbone.load_state_dict(state, strict=True)
    assert f"tensors of layers 2 to 2 ({kind[2]})" in log.text
    own = backbone.state_dict()
    assert all(torch.equal(own[name], state[name]) for name in own)
    assert {name for name in state if name not in own} == {
        name for name in state if name.startswith(f"{kind[2]}.2.")
    }
    strange = state | {f"{kind[2]}.3.norm1.weight": torch.ones(32)}
    with pytest.raises(RuntimeError, match=r"Unexpected key.*\.3\.norm1\.weight"):
        backbone.load_state_dict(strange, strict=True)
    inner = next(full.children()).state_dict()
    if kind[0] == "BeitViT":
        table = full.attn_bias.table
        inner |= {
            f"blocks.{i}.attn.relative_position_bias_table": table[i] for i in range(len(table))
        }
    torch.save(inner, tmp_path / "weights.pth")
    node.BACKBONE.WEIGHTS = str(tmp_path / "weights.pth")
    from_file = build_backbone(node).state_dict()
    assert all(torch.equal(from_file[name], state[name]) for name in from_file)


def test_nothing_is_dropped_where_the_last_layer_is_used(node, kind, log):
    node.BACKBONE.FEATURES = [0, 1, -1]
    assert len(built(node).get_submodule(kind[2])) == 3
    assert "dropped" not in log.text


WRONG = r"BACKBONE\.FEATURES is \[.*three of the layers 0 to 2 in rising order"


@pytest.mark.parametrize(
    "features", [[0, 5, 9], [-1, 0, 1], [1, 0, 2], [2, 1, 0], [0, 0, -4], [0, 2], [0, 0, 1, 2], []]
)
def test_features_must_be_three_layers_in_rising_order(features):
    with pytest.raises(ValueError, match=WRONG):
        feature_layers(features, 3)


def test_every_backbone_checks_them(node):
    node.BACKBONE.FEATURES = [-1, 0, 1]
    with pytest.raises(ValueError, match=WRONG):
        build_backbone(node)


def test_negative_numbers_count_from_the_end():
    names = ("skip_shallow", "skip_deep", "dense")
    expected = dict(zip(names, (0, 4, 11), strict=True))
    assert feature_layers((-12, 4, -1), 12) == expected == feature_layers((0, -8, 11), 12)
