"""A pair of files in the authors' format, converted, gives what its tensors give directly."""

import pytest
import torch

from co2s import model_zoo
from co2s.config import get_co2s_cfg
from co2s.d2 import DetectionCheckpointer, build_model

SIZES = ((96, 96), (128, 160), (256, 256), (320, 288))
MAPS = ("dense", "skip_deep", "skip_shallow")


@pytest.fixture
def images():
    """A function (size) -> images (1, 3, *size): patches of different colours, and noise."""

    def draw(size):
        generator = torch.Generator().manual_seed(1)
        coarse = torch.rand(1, 3, size[0] // 16, size[1] // 16, generator=generator)
        noise = torch.rand(1, 3, *size, generator=generator)
        return 255 * (coarse.repeat_interleave(16, 2).repeat_interleave(16, 3) + noise) / 2

    return draw


def centred(logits):
    return logits - logits.mean(1, keepdim=True)


def close(ours, plain, tolerance, what):
    worst = (ours - plain).abs().max().item()
    assert worst <= tolerance, f"{what}: {worst:.1e} apart, {tolerance:.0e} allowed"


@torch.no_grad()
def compare(student, direct, name, tensors, image, **shape):
    """Features to 3e-5, logits and class-centred logits to 1e-5."""
    plain_maps, plain = direct.student(name, tensors, image, **shape)
    maps = student.features(image)
    logits = student.decode(maps, image.shape[-2:])
    what = f"{name} student at {tuple(image.shape[-2:])}"
    for key, plain_map in zip(MAPS, plain_maps, strict=True):
        close(maps[key], plain_map, 3e-5, f"{key} of the {what}")
    close(logits, plain, 1e-5, f"logits of the {what}")
    close(centred(logits), centred(plain), 1e-5, f"class-centred logits of the {what}")
    # Otherwise nothing would have been compared.
    assert centred(plain).std() > 0.02
    assert (plain - plain.mean((2, 3), keepdim=True)).std() > 0.02


def test_vit_b(authors_format, direct, convert_checkpoint, images, tmp_path):
    """One test for all sizes: the files have 1.4 GB, and are written once."""
    pair = authors_format.write_pair(tmp_path)
    output = tmp_path / "co2s_whdld.pth"
    arguments = ["--config-file", model_zoo.get_config_file("co2s_whdld.yaml")]
    arguments += ["--global", str(tmp_path / "best_clip.pth")]
    arguments += ["--local", str(tmp_path / "best_dinov3.pth"), "--output", str(output)]
    convert_checkpoint.main(arguments)

    cfg = get_co2s_cfg()
    cfg.merge_from_file(str(output.with_suffix(".yaml")))
    cfg.MODEL.DEVICE = "cpu"
    model = build_model(cfg).eval()
    DetectionCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    for file in tmp_path.glob("*.pth"):
        file.unlink()
    for size in SIZES:
        for name, student in model.students.items():
            compare(student, direct, name, pair[name], images(size))


@pytest.mark.parametrize("size", [(32, 32), (48, 80)])
def test_small_vit(tiny_pair, direct, images, size):
    """The same on the smaller pair, where a mistake is found in a second."""
    cfg, pair, state = tiny_pair
    cfg.MODEL.WEIGHTS = "converted"
    model = build_model(cfg).eval()
    model.load_state_dict(state)
    for name, student in model.students.items():
        compare(student, direct, name, pair[name], images(size), heads=2, skips=(0, 0))
