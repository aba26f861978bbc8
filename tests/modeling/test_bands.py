"""More than three bands: the patch embedding is extended, three bands are as they were."""

import pytest
import torch

from co2s.d2 import EventStorage, build_model
from co2s.solver import build_optimizer

from ..conftest import make_batch


def build(cfg, bands):
    cfg.MODEL.NUM_BANDS = bands
    torch.manual_seed(0)
    return build_model(cfg)


def with_bands(batch, bands):
    """The batch with each view's first band repeated until there are enough."""

    def widen(item):
        item["image"] = torch.cat([item["image"], item["image"][:1].expand(bands - 3, -1, -1)])
        if "strong" in item:
            strong = item["strong"]
            item["strong"] = torch.cat([strong, strong[:, :1].expand(-1, bands - 3, -1, -1)], 1)
            for part in [item["partner"]] if "partner" in item else []:
                widen(part)

    for item in batch["labeled"] + batch["unlabeled"]:
        widen(item)
    return batch


@pytest.mark.parametrize("kind", ["vit", "beit"])
def test_new_bands_change_nothing_at_first(tiny_cfg, log, kind):
    if kind == "beit":
        tiny_cfg.MODEL.LOCAL.BACKBONE.NAME = "BeitViT"
        tiny_cfg.MODEL.LOCAL.BACKBONE.MODEL = "beitv2_base_patch16_224"
        tiny_cfg.MODEL.LOCAL.BACKBONE.IMAGE_SIZE = 32
    three = build(tiny_cfg, 3).eval()
    five = build(tiny_cfg, 5).eval()
    assert log.text.count("patch embedding extended from 3 to 5 bands") == 2
    own = {
        k.replace("conv1.conv.", "conv1.").replace("proj.conv.", "proj."): v
        for k, v in five.state_dict().items()
    }
    state = three.state_dict()
    five.load_state_dict(
        {k: state.get(n, v) for (k, v), n in zip(five.state_dict().items(), own, strict=True)}
    )
    image = torch.randint(0, 256, (5, 40, 32), dtype=torch.uint8)
    found, expected = five([{"image": image}])[0], three([{"image": image[:3]}])[0]
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-5)


def test_new_bands_learn_at_the_base_rate(tiny_cfg):
    model = build(tiny_cfg, 4).train()
    new = {n: p for n, p in model.named_parameters() if "extra_bands" in n}
    assert len(new) == 2 and all(p.requires_grad and p.shape[1] == 1 for p in new.values())
    with EventStorage(0):
        losses = model(with_bands(make_batch(), 4))
    sum(losses.values()).backward()
    assert all(p.grad.abs().sum() > 0 for p in new.values())
    groups = {g["role"]: g for g in build_optimizer(tiny_cfg, model).param_groups}
    assert groups["extra_bands"]["lr"] == tiny_cfg.SOLVER.BASE_LR
    assert {id(p) for p in groups["extra_bands"]["params"]} == {id(p) for p in new.values()}


def test_means_and_deviations_of_new_bands(tiny_cfg):
    student = build(tiny_cfg, 4).students["global"]
    assert student.pixel_mean[3].item() == pytest.approx((123.675 + 116.28 + 103.53) / 3)
    tiny_cfg.MODEL.PIXEL_MEAN = [1.0, 2.0, 3.0, 4.0]
    assert build(tiny_cfg, 4).students["local"].pixel_mean.flatten().tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"PIXEL_MEAN has 4 values, the dataset has 5 bands"):
        build(tiny_cfg, 5)


def test_invalid_pixels_have_no_probability(tiny_cfg):
    model = build(tiny_cfg, 3).eval()
    valid = torch.ones(32, 32, dtype=torch.bool)
    valid[4:9, 20:] = False
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    output = model([{"image": image, "valid": valid}])[0]
    plain = model([{"image": image}])[0]
    assert torch.equal(output["valid"], valid) and "valid" not in plain
    for name, probs in plain.items():
        assert torch.equal(output[name], probs * valid)
