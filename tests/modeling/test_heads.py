"""The plain decoders against their written-out computation; which guidance goes with which."""

import pytest
import torch
import torch.nn.functional as F

from co2s.d2 import EventStorage, build_model
from co2s.modeling import build_student
from co2s.solver import build_optimizer

DEEPLAB, LINEAR = PLAIN = ("DeepLabV3PlusHead", "LinearHead")  # they read no class vectors


@pytest.fixture
def use(tiny_cfg):
    """A function (head, *students) -> the configuration, with a plain head for some or for all."""

    def choose(head, *names):
        for name in names or ("GLOBAL", "LOCAL"):
            node = tiny_cfg.MODEL[name]
            node.HEAD.NAME, node.GUIDANCE.NAME = head, "NoGuidance"
        return tiny_cfg

    return choose


@pytest.fixture
def deeplab_cfg(use):
    return use(DEEPLAB)


def block(layers, x, dilation=1):
    conv, norm = layers[0], layers[1]
    padding = dilation * (conv.weight.shape[-1] // 2)
    x = F.conv2d(x, conv.weight, padding=padding, dilation=dilation)
    return F.relu(F.group_norm(x, max(x.shape[1] // 16, 1), norm.weight, norm.bias, 1e-5))


def up(x, size):
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("name", ["GLOBAL", "LOCAL"])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_deeplab_written_out(deeplab_cfg, name, size):
    torch.manual_seed(0)
    student = build_student(deeplab_cfg, deeplab_cfg.MODEL[name])
    head, maps = student.head, student.features(torch.rand(2, 3, *size) * 255)
    dense, (h, w) = maps["dense"], maps["dense"].shape[-2:]
    pyramid = head.spatial
    parts = [block(b, dense, d) for b, d in zip(pyramid.branches, (1, 1, 2, 3), strict=True)]
    pooled = block(pyramid.pool, F.adaptive_avg_pool2d(dense, 1))
    parts.append(F.interpolate(pooled, (h, w), mode="bilinear", align_corners=True))
    x = up(block(pyramid.project, torch.cat(parts, 1)), (4 * h, 4 * w))
    skip = up(block(head.project_shallow, maps["skip_shallow"]), (4 * h, 4 * w))
    x = block(head.fuse[1], block(head.fuse[0], torch.cat([x, skip], 1)))
    expected = F.conv2d(x, head.predict.weight, head.predict.bias)
    assert expected.shape == (2, 6, 4 * h, 4 * w)
    torch.testing.assert_close(head(maps, student.guidance()), expected, atol=1e-5, rtol=1e-5)


def test_deeplab_views_do_not_see_each_other(deeplab_cfg):
    student = build_student(deeplab_cfg, deeplab_cfg.MODEL.LOCAL).train()
    images = torch.rand(3, 3, 32, 32) * 255
    torch.testing.assert_close(student(images)[1:2], student(images[1:2]), atol=1e-5, rtol=1e-5)


def test_deeplab_reads_its_keys(deeplab_cfg):
    node = deeplab_cfg.MODEL.GLOBAL
    node.HEAD.DIM, node.HEAD.DILATIONS, node.HEAD.SKIP_DIMS = 48, (2, 3), (9, 5)
    head = build_student(deeplab_cfg, node).head
    assert [b[0].dilation[0] for b in head.spatial.branches] == [1, 2, 3]
    assert head.project_shallow[0].weight.shape == (5, 32, 1, 1)
    assert head.fuse[0][0].weight.shape == (48, 48 + 5, 3, 3)
    assert head.predict.weight.shape == (6, 48, 1, 1)


@pytest.mark.parametrize("name", ["GLOBAL", "LOCAL"])
def test_linear_written_out(use, name):
    cfg = use(LINEAR)
    student = build_student(cfg, cfg.MODEL[name])
    maps = student.features(255 * torch.rand(2, 3, 24, 40))
    weight, bias = torch.randn(6, maps["dense"].shape[1]), torch.randn(6)
    student.head.fill(weight, bias)
    expected = torch.einsum("nc,bchw->bnhw", weight, maps["dense"]) + bias[:, None, None]
    found = student.head(maps, student.guidance())
    assert found.shape == (2, 6, 3, 5)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", PLAIN)
@pytest.mark.parametrize("method", ["Co2S", "OnlySup"])
def test_a_plain_head_trains_whole(use, random_batch, head, method):
    cfg = use(head)
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.CO2S.THRESHOLD = method, 0.0
    model = build_model(cfg).train()
    with EventStorage(5):
        losses = model(random_batch())
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert not [key for key in model.state_dict() if ".guidance." in key]


def test_a_head_that_needs_class_vectors_refuses_to_do_without(tiny_cfg):
    tiny_cfg.MODEL.GLOBAL.GUIDANCE.NAME = "NoGuidance"
    with pytest.raises(ValueError, match=r"HEAD\.NAME 'GuidedMaskHead'.*GUIDANCE\.NAME 'NoG"):
        build_model(tiny_cfg)


@pytest.mark.parametrize("head", PLAIN)
@pytest.mark.parametrize("guidance", ["LearnableQueries", "TextPrototypes"])
def test_class_vectors_that_no_head_reads_are_refused(tiny_cfg, head, guidance):
    tiny_cfg.MODEL.LOCAL.HEAD.NAME = head
    tiny_cfg.MODEL.LOCAL.GUIDANCE.NAME = guidance
    words = rf"HEAD\.NAME '{head}' reads no.*GUIDANCE\.NAME '{guidance}'.*NoGuidance"
    with pytest.raises(ValueError, match=words):
        build_model(tiny_cfg)


@pytest.mark.parametrize("name", ["GLOBAL", "LOCAL"])
@pytest.mark.parametrize("head", ["guided", "deeplab"])
def test_linear_path_is_added_and_starts_at_nothing(tiny_cfg, use, name, head):
    node = tiny_cfg.MODEL[name]
    if head == "deeplab":
        use(DEEPLAB, name)
    node.HEAD.LINEAR_PATH = True
    student = build_student(tiny_cfg, node)
    maps, vectors = student.features(torch.rand(2, 3, 32, 48) * 255), student.guidance()
    plain = student.head.decoder(maps, vectors)
    assert torch.equal(student.head(maps, vectors), plain)
    linear = student.head.linear
    linear.weight.data.normal_()
    linear.bias.data.normal_()
    joined = torch.cat([maps[m] for m in ("skip_shallow", "skip_deep", "dense")], dim=1)
    weight = linear.weight[..., 0, 0]
    written = torch.einsum("bchw,nc->bnhw", joined, weight) + linear.bias.view(1, -1, 1, 1)
    expected = plain + up(written, plain.shape[-2:])
    torch.testing.assert_close(student.head(maps, vectors), expected, atol=1e-5, rtol=1e-4)


def test_linear_path_has_the_rate_of_the_head(tiny_cfg):
    tiny_cfg.MODEL.LOCAL.HEAD.LINEAR_PATH = True
    tiny_cfg.SOLVER.HEAD_MULTIPLIER = 7.0
    model = build_model(tiny_cfg)
    optimizer = build_optimizer(tiny_cfg, model)
    (group,) = [g for g in optimizer.param_groups if g["role"] == "head"]
    weight = model.students["local"].head.linear.weight
    assert any(p is weight for p in group["params"])
    assert group["lr"] == pytest.approx(7.0 * tiny_cfg.SOLVER.BASE_LR)
