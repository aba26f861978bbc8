"""The pretraining methods: what is seen, what counts, who learns."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from co2s.d2 import EventStorage, build_model
from co2s.modeling.backbone import build_backbone
from co2s.modeling.meta_arch.stacking import Labeled
from co2s.semi import counting

METHODS = ["MaskedImageModeling", "FeatureDistillation"]


@pytest.fixture
def cfg(tiny_cfg):
    tiny_cfg.MODEL.META_ARCHITECTURE = "MaskedImageModeling"
    tiny_cfg.MODEL.NUM_CLASSES = 0  # nobody needs them
    tiny_cfg.MODEL.NUM_BANDS = 3
    for student in (tiny_cfg.MODEL.GLOBAL, tiny_cfg.MODEL.LOCAL):
        student.BACKBONE.TRAINABLE = [""]
    return tiny_cfg


@pytest.fixture
def taught_cfg(cfg, tmp_path):
    """A ViT with patches of 14 pixels teaches, from a file."""
    cfg.MODEL.META_ARCHITECTURE = "FeatureDistillation"
    node = cfg.MODEL.DISTILLATION.TEACHER
    node.BACKBONE.MODEL, node.BACKBONE.FEATURES = "vit_base_patch14_dinov2", [0, 0, 1]
    node.BACKBONE.WIDTH, node.BACKBONE.DEPTH, node.BACKBONE.HEADS = 24, 2, 2
    node.BACKBONE.IMAGE_SIZE, node.BACKBONE.LAYER_SCALE = 28, 0.5
    torch.manual_seed(7)
    file = str(tmp_path / "teacher.safetensors")
    save_file(build_backbone(node).to_file(), file)
    node.BACKBONE.WEIGHTS = file
    return cfg


@pytest.fixture
def chosen(request, cfg):
    """The configuration of a method, by its name."""

    def choose(name):
        return request.getfixturevalue("taught_cfg") if name == METHODS[1] else cfg

    return choose


def build(cfg, seed=0):
    torch.manual_seed(seed)
    return build_model(cfg).train()


def items(count=2, size=32, bands=3, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def view(*shape):
        return torch.randint(0, 256, (*shape, bands, size, size), generator=generator).byte()

    valid = torch.ones(size, size, dtype=torch.bool)
    return [
        {"image": view(), "strong": view(1), "valid": valid.clone(), "seed": 10 * seed + i}
        for i in range(count)
    ]


def losses_of(model, unlabeled, **more):
    with EventStorage(0):
        return model({"labeled": [], "unlabeled": unlabeled, **more})


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("trained", [["attn"], [""]])
def test_every_trained_parameter_learns_and_no_other_is_trained(chosen, name, trained):
    cfg = chosen(name)
    for student in (cfg.MODEL.GLOBAL, cfg.MODEL.LOCAL):
        student.BACKBONE.TRAINABLE = trained
    model = build(cfg)
    losses = losses_of(model, items())
    term = "hidden" if name == METHODS[0] else "dense"
    assert losses.keys() == {f"loss_{term}_global", f"loss_{term}_local"}
    sum(losses.values()).backward()
    for key, parameter in model.named_parameters():
        asked = not key.startswith("teacher.") and (".backbone." not in key or trained[0] in key)
        assert parameter.requires_grad == asked, key
        assert (parameter.grad is not None and bool(parameter.grad.any())) == asked, key
    assert not [k for k, _ in model.named_parameters() if ".head." in k or ".guidance." in k]


@pytest.mark.parametrize("name", METHODS)
def test_each_student_is_on_its_own(chosen, name):
    model = build(chosen(name))
    losses = losses_of(model, items())
    for me, other in (("global", "local"), ("local", "global")):
        loss = next(x for key, x in losses.items() if key.endswith(me))
        foreign = [p for p in model.students[other].parameters() if p.requires_grad]
        found = torch.autograd.grad(loss, foreign, retain_graph=True, allow_unused=True)
        assert all(gradient is None for gradient in found)


def test_what_the_dense_map_does_not_depend_on_is_not_trained(cfg):
    cfg.MODEL.STUDENTS = ("local",)
    cfg.MODEL.LOCAL.BACKBONE.MODEL = "vit_base_patch16_siglip_224"
    model = build(cfg)
    frozen = {k.split(".")[4] for k, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"attn_pool"}, "it pools the tokens of SigLIP's embedding"
    sum(losses_of(model, items()).values()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    cfg.MODEL.LOCAL.BACKBONE.TRAINABLE = ["attn_pool"]
    with pytest.raises(ValueError, match=r'Nothing of a backbone is trained.*\[""\]'):
        build(cfg)


@pytest.mark.parametrize("name", METHODS)
def test_the_count_is_exchanged_once_a_step_and_comes_without_a_pass(chosen, name, monkeypatch):
    model, exchanges = build(chosen(name)), []
    monkeypatch.setattr(counting.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(counting.dist, "get_world_size", lambda: 1)
    monkeypatch.setattr(counting.dist, "all_reduce", exchanges.append)
    losses_of(model, items())
    assert len(exchanges) == 1
    monkeypatch.setattr(model.students["local"].backbone, "forward", None)
    monkeypatch.setattr(model.students["global"].backbone, "forward", None)
    model.count([{"labeled": [], "unlabeled": items()}] * 2)
    assert len(exchanges) == 2


@pytest.mark.parametrize("name", METHODS)
def test_two_parts_add_up_to_the_whole_step(chosen, name):
    model, whole = build(chosen(name)), items(4)
    whole[0]["valid"][:20] = False  # the parts have different numbers of pixels
    parts = [{"labeled": [], "unlabeled": part} for part in (whole[:2], whole[2:])]
    counts = model.count(parts)
    together = losses_of(model, whole)
    apart = [losses_of(model, part["unlabeled"], counts=counts) for part in parts]
    for key, loss in together.items():
        torch.testing.assert_close(apart[0][key] + apart[1][key], loss, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_invalid_pixels_never_count(chosen, name):
    model, one = build(chosen(name)), items(2)
    one[1]["valid"][:] = False
    with_nothing, alone = losses_of(model, one), losses_of(model, one[:1])
    for key, loss in alone.items():
        torch.testing.assert_close(with_nothing[key], loss, atol=1e-5, rtol=1e-5)
    one[0]["valid"][:] = False
    assert all(loss.item() == 0 for loss in losses_of(model, one).values())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("bands", [4, 5])
def test_any_number_of_bands(chosen, name, bands):
    cfg = chosen(name)
    cfg.MODEL.NUM_BANDS = bands
    model = build(cfg)
    sum(losses_of(model, items(bands=bands)).values()).backward()
    new = {k: p for k, p in model.named_parameters() if "extra_bands" in k}
    assert len(new) == 2 and all(p.grad.any() for p in new.values())


@pytest.mark.parametrize("name", METHODS)
def test_it_predicts_no_classes_and_says_so(chosen, name):
    model = build(chosen(name)).eval()
    with pytest.raises(ValueError, match=rf"{name} predicts no classes.*BACKBONE.WEIGHTS"):
        model([{"image": torch.zeros(3, 32, 32)}])
    assert model.shown({"labeled": [], "unlabeled": items()}) == {}


# Masked images


def test_the_loss_written_out(cfg):
    model, unlabeled = build(cfg), items()
    unlabeled[0]["valid"][5:, 9:12] = False
    with torch.no_grad():  # the linear layer says a number of its own for each pixel of a patch
        linear = model.projections["local"].linear
        linear.weight.zero_()
        linear.bias.copy_(torch.linspace(-1, 1, len(linear.bias)))
    u = model.stacked(unlabeled)
    hidden = model.hidden_of("local", u)
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    errors = []
    for image, valid, missing in zip(u.weak.float(), u.valid, hidden, strict=True):
        image = (image - mean.view(3, 1, 1)) / std.view(3, 1, 1)
        for y in range(0, 32, 8):
            for x in range(0, 32, 8):
                place = (slice(y, y + 8), slice(x, x + 8))
                patch, counts = image[(slice(None), *place)], valid[place]
                known = patch[:, counts]
                patch = (patch - known.mean()) / (known.var(unbiased=False) + 1e-6).sqrt()
                said = linear.bias.view(3, 8, 8)
                wanted = (missing[place] & counts).expand(3, 8, 8)
                errors.append((patch - said).abs()[wanted])
    expected = torch.cat(errors).mean()
    found = losses_of(model, unlabeled)["loss_hidden_local"]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("student", ["global", "local"])
def test_a_backbone_does_not_see_what_is_hidden(cfg, student):
    model = build(cfg).eval()
    images = torch.randn(2, 3, 32, 32)
    u = model.stacked(items())
    hidden = model.hidden_of(student, u)
    assert hidden.float().mean().item() == pytest.approx(10 / 16)  # 0.6 of 16 patches
    said = model.reconstructed(student, images, hidden)
    changed = torch.where(hidden[:, None], images + 5, images)
    torch.testing.assert_close(model.reconstructed(student, changed, hidden), said)
    changed = torch.where(hidden[:, None], images, images + 5)
    assert not torch.allclose(model.reconstructed(student, changed, hidden), said, atol=1e-3)
    with torch.no_grad():
        model.fill[student].add_(1.0)
    assert not torch.allclose(model.reconstructed(student, images, hidden), said, atol=1e-3)


def test_predicted_patches_lie_where_they_were_seen(cfg):
    model = build(cfg).eval()
    nothing = torch.zeros(1, 32, 32, dtype=torch.bool)
    image = torch.randn(1, 3, 32, 32)
    maps = model.students["local"].backbone(image)
    tokens = model.projections["local"](maps["dense"])[0, :, 1, 2]  # row 1, column 2
    found = model.reconstructed("local", image, nothing)[0, :, 8:16, 16:24]
    torch.testing.assert_close(found, tokens.view(3, 8, 8))


def test_the_seed_of_an_item_decides_what_is_hidden(cfg):
    model, unlabeled = build(cfg), items(3)
    hidden = model.hidden_of("local", model.stacked(unlabeled))
    again = build(cfg, seed=1).hidden_of("local", model.stacked(unlabeled[::-1]))
    assert torch.equal(again.flip(0), hidden)
    assert not torch.equal(hidden[0], hidden[1])
    assert not torch.equal(model.hidden_of("global", model.stacked(unlabeled)), hidden)


def test_squares_of_several_patches_and_crops_that_are_padded(cfg):
    cfg.MODEL.MIM.SQUARE, cfg.INPUT.CROP_SIZE = 16, 30
    model = build(cfg)
    hidden = model.hidden_of("local", model.stacked(items(size=30)))
    assert {h.float().sum().item() for h in hidden} <= {420, 448, 452, 480}  # two of four
    assert hidden[:, :16, :16].flatten(1).any(1).equal(hidden[:, :16, :16].flatten(1).all(1))
    assert all(loss.isfinite() for loss in losses_of(model, items(size=30)).values())
    cfg.MODEL.MIM.SQUARE = 12
    with pytest.raises(ValueError, match=r"SQUARE is 12; .*patches of 8 pixels of MODEL\.GLOBAL"):
        build(cfg)


# Distillation


def test_the_cosine_written_out(taught_cfg):
    taught_cfg.MODEL.DISTILLATION.TEACHER_SCALE = 1.3  # 42 pixels, a grid of 3 x 3
    model, unlabeled = build(taught_cfg), items()
    unlabeled[1]["valid"][:, :7] = False
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    weak, strong = (torch.stack([item[k] for item in unlabeled]) for k in ("image", "strong"))
    teacher = build_backbone(taught_cfg.MODEL.DISTILLATION.TEACHER).eval()
    seen = F.interpolate(weak.float(), (42, 42), mode="bilinear", align_corners=False)
    with torch.no_grad():
        taught = teacher((seen - mean.view(3, 1, 1)) / std.view(3, 1, 1))["dense"]
    own = model.students["local"].features(strong[:, 0])["dense"]
    own = (own - own.mean(1, keepdim=True)) / (
        own.var(1, unbiased=False, keepdim=True) + 1e-5
    ) ** 0.5
    linear = model.projections["local"]["dense"].linear
    own = torch.einsum("oc,bchw->bohw", linear.weight[:, :, 0, 0], own) + linear.bias.view(-1, 1, 1)
    own = F.interpolate(own, (3, 3), mode="bilinear", align_corners=False)
    total, count = 0.0, 0
    for b, item in enumerate(unlabeled):
        for y in range(32):
            for x in range(32):
                if item["valid"][y, x]:
                    one, two = (
                        z[b, :, int((y + 0.5) * 3 / 32), int((x + 0.5) * 3 / 32)]
                        for z in (own, taught)
                    )
                    total, count = total + 1 - one @ two / one.norm() / two.norm(), count + 1
    found = losses_of(model, unlabeled)["loss_dense_local"]
    torch.testing.assert_close(found, total / count, atol=1e-5, rtol=1e-5)


def test_the_teacher_is_frozen_and_stays_as_it_was(taught_cfg):
    model = build(taught_cfg)
    assert not model.teacher.training and model.students["local"].training
    before = {k: v.clone() for k, v in model.teacher.state_dict().items()}
    stored = build_backbone(taught_cfg.MODEL.DISTILLATION.TEACHER).state_dict()
    assert all(torch.equal(before[f"backbone.{k}"], v) for k, v in stored.items())
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        sum(losses_of(model, items()).values()).backward()
        optimizer.step()
    assert all(torch.equal(before[k], v) for k, v in model.teacher.state_dict().items())
    assert all(p.grad is None for p in model.teacher.parameters())


def test_the_teacher_sees_its_bands_at_its_size(taught_cfg):
    node = taught_cfg.MODEL.DISTILLATION
    taught_cfg.MODEL.NUM_BANDS = 5
    node.TEACHER_BANDS, node.TEACHER_SCALE = (4, 0, 2), 2.0
    model, images = build(taught_cfg), torch.randint(0, 256, (2, 5, 32, 32)).byte()
    assert model.side == 70  # 64 pixels are 4.6 patches of 14
    found = model.taught(images)["dense"]
    assert found.shape == (2, 24, 5, 5) and not found.requires_grad
    for band, matters in enumerate((True, False, True, False, True)):
        changed = images.clone()
        changed[:, band] = 255 - changed[:, band]
        assert torch.equal(model.taught(changed)["dense"], found) != matters, band
    node.TEACHER_BANDS = (0, 2, 4)
    assert not torch.allclose(build(taught_cfg).taught(images)["dense"], found, atol=1e-3)


@pytest.mark.parametrize("view", ["strong", "weak"])
def test_the_students_see_the_view_that_is_named(taught_cfg, view):
    taught_cfg.MODEL.DISTILLATION.VIEW = view
    model, unlabeled = build(taught_cfg), items()
    first = losses_of(model, unlabeled)["loss_dense_local"]
    for item in unlabeled:
        item["strong"] = 255 - item["strong"]
    assert torch.equal(losses_of(model, unlabeled)["loss_dense_local"], first) == (view == "weak")
    views = type(model).views(taught_cfg)
    assert (views.strong, views.cutmix, views.labeled) == (int(view == "strong"), False, False)


def test_more_maps_may_be_taught(taught_cfg):
    taught_cfg.MODEL.DISTILLATION.MAPS = ("dense", "skip_shallow")
    losses = losses_of(build(taught_cfg), items())
    names = {f"loss_{m}_{s}" for m in ("dense", "skip_shallow") for s in ("global", "local")}
    assert losses.keys() == names
    assert all(0 < loss.item() < 1 for loss in losses.values()), "halves of 1 - cos"


# S4


@pytest.fixture
def s4_cfg(tiny_cfg):
    tiny_cfg.MODEL.META_ARCHITECTURE, tiny_cfg.MODEL.STUDENTS = "S4", ("local",)
    tiny_cfg.MODEL.FIXMATCH.THRESHOLD = 0.19  # a random model of 6 classes is about 1/6 sure
    return tiny_cfg


def test_s4_s_loss_written_out(s4_cfg, method_batch):
    model, batch = build(s4_cfg), method_batch(s4_cfg)
    with EventStorage(0):
        losses = model(batch)
    x, u = Labeled.stacked(batch["labeled"], model.device), model.stacked(batch["unlabeled"])
    student = model.students["local"].eval()  # it labels as it would be scored
    said = student(u.weak).softmax(1), student(u.partner).softmax(1)
    probs = torch.where(u.boxes[0][:, None], said[1], said[0])
    valid = torch.where(u.boxes[0], u.partner_valid, u.valid)
    confidence, label = probs.max(1)
    sure = valid & (confidence >= 0.19)
    assert 0 < sure.sum() < valid.sum()
    on_strong = F.cross_entropy(student(u.strong[0]), label, reduction="none")[sure].sum()
    supervised = F.cross_entropy(student(x.images), x.target, ignore_index=255)
    found = losses["loss_sup_local"], losses["loss_strong_local"]
    expected = supervised / 2, on_strong / valid.sum() / 2
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_s4_has_no_teacher_and_predicts_the_classes_of_its_labels(s4_cfg, complete):
    s4_cfg.DATASETS.LABELED = ("potsdam_1_8_labeled",)
    s4_cfg.DATASETS.UNLABELED = ("loveda_1_8_unlabeled",)
    s4_cfg.MODEL.NUM_CLASSES = 0
    model = build(complete(s4_cfg)).eval()
    assert len(model.teachers) == 0 and model.labelers is model.students
    (output,) = model([{"image": torch.zeros(3, 32, 32)}])
    assert output["sem_seg"].shape == (6, 32, 32)
