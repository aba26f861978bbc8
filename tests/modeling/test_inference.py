"""Inference: sliding windows against a direct average, fusion, output form."""

import pytest
import torch
import torch.nn.functional as F

from co2s.d2 import build_model
from co2s.modeling.sliding_window import fit_size, sliding_window_logits


@pytest.fixture
def model(tiny_cfg):
    torch.manual_seed(0)
    return build_model(tiny_cfg).eval()


@torch.no_grad()
def test_sliding_window_averages_logits(model):
    student = model.students["local"]
    image = torch.rand(3, 32, 52) * 255
    logits = sliding_window_logits(student, image, size=32, stride=26, batch=1)
    left, right = (student(image[None, :, :, s])[0] for s in (slice(0, 32), slice(20, 52)))
    torch.testing.assert_close(logits[:, :, :20], left[:, :, :20])
    torch.testing.assert_close(logits[:, :, 20:32], (left[:, :, 20:] + right[:, :, :12]) / 2)
    torch.testing.assert_close(logits[:, :, 32:], right[:, :, 12:])
    together = sliding_window_logits(student, image, size=32, stride=26, batch=8)
    torch.testing.assert_close(logits, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("size", "expected"), [(0, (32, 26)), (48, (48, 40))])
def test_the_window_is_the_crop_unless_another_is_given(tiny_cfg, size, expected):
    tiny_cfg.INPUT.CROP_SIZE, tiny_cfg.TEST.WINDOW_SIZE = 32, size
    model = build_model(tiny_cfg)
    assert (model.window, model.stride) == expected


def test_output_is_detectron2s_form_at_the_asked_size(model):
    item = {"image": torch.randint(0, 256, (3, 40, 24)).byte(), "height": 80, "width": 48}
    (output,) = model([item])
    assert set(output) == {"sem_seg", "sem_seg_global", "sem_seg_local"}
    for probs in output.values():
        assert probs.shape == (6, 80, 48)
        torch.testing.assert_close(probs.sum(0), torch.ones(80, 48))


@torch.no_grad()
def test_final_resize_aligns_corners(model):
    image = torch.randint(0, 256, (3, 32, 32)).byte()
    (output,) = model([{"image": image, "height": 63, "width": 63}])
    logits = model.students["global"](image[None].float())
    expected = F.interpolate(logits, (63, 63), mode="bilinear", align_corners=True).softmax(1)[0]
    torch.testing.assert_close(output["sem_seg_global"], expected)


@pytest.mark.parametrize("fusion", ["confidence", "mean", "global", "local"])
def test_fusions(model, fusion):
    model.fusion = fusion
    (output,) = model([{"image": torch.randint(0, 256, (3, 32, 32)).byte()}])
    g, local = output["sem_seg_global"], output["sem_seg_local"]
    expected = {
        "confidence": torch.where(g.amax(0) >= local.amax(0), g, local),
        "mean": (g + local) / 2,
        "global": g,
        "local": local,
    }[fusion]
    torch.testing.assert_close(output["sem_seg"], expected)
    model.student_maps = False
    maps = set(model([{"image": torch.zeros(3, 32, 32)}])[0])
    assert maps == {"sem_seg"} | ({f"sem_seg_{fusion}"} if fusion in model.students else set())


def test_unknown_fusion(tiny_cfg):
    tiny_cfg.MODEL.FUSION = "vote"
    with pytest.raises(ValueError, match=r"'vote'.*confidence, mean, global, local"):
        build_model(tiny_cfg)


@pytest.mark.parametrize(
    ("size", "base", "expected"),
    [
        ((300, 400), (0, 0), (300, 400)),
        ((256, 256), (2048, 512), (512, 512)),
        ((560, 500), (2048, 512), (573, 512)),
        ((100, 1000), (2048, 512), (512, 5120)),  # never below 512 on the short side
    ],
)
def test_fit_size(size, base, expected):
    assert fit_size(*size, base) == expected


def test_fit_size_scales_where_no_base_size_decides():
    assert fit_size(128, 256, (0, 0), 1.5) == (192, 384)
    assert fit_size(128, 256, (2048, 512), 1.5) == (512, 1024)


def test_a_checkpoint_of_another_model_is_an_error_whatever_the_checkpointer_asks(
    tiny_cfg, model, tmp_path
):
    from co2s.d2 import DetectionCheckpointer

    torch.save({"model": model.state_dict()}, tmp_path / "six_classes.pth")
    tiny_cfg.MODEL.NUM_CLASSES = 5
    other = build_model(tiny_cfg)
    with pytest.raises(ValueError, match=r"another number of classes(.|\n)*guidance\.queries"):
        DetectionCheckpointer(other).load(str(tmp_path / "six_classes.pth"))
