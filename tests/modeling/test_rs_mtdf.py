"""RS-MTDF: its terms written out, what is frozen, and what a student carries of it."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from co2s.d2 import EventStorage, build_model
from co2s.modeling import build_student
from co2s.modeling.backbone import build_backbone
from co2s.modeling.meta_arch.stacking import Labeled
from co2s.solver import build_optimizer

from .precision import check_mixed_precision

CLIP = {"mean": [122.771, 116.746, 104.094], "std": [68.501, 66.632, 70.323]}
DINO = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


@pytest.fixture
def cfg(tiny_cfg):
    tiny_cfg.MODEL.META_ARCHITECTURE, tiny_cfg.MODEL.STUDENTS = "RSMTDF", ("local",)
    tiny_cfg.MODEL.EMA_DECAY = 0.9
    tiny_cfg.MODEL.RSMTDF.THRESHOLD = 0.17  # of six classes: some pixels count
    return tiny_cfg


@pytest.fixture
def from_files(cfg, tmp_path):
    """Both frozen teachers come from files."""
    for seed, name in enumerate(("DINO", "CLIP")):
        node = cfg.MODEL.RSMTDF[name]
        torch.manual_seed(seed)
        file = str(tmp_path / f"{name}.safetensors")
        save_file(build_backbone(node).to_file(), file)
        node.BACKBONE.WEIGHTS = file
    return cfg


def build(cfg, seed=0):
    """A model whose necks do something, and whose average is unlike it."""
    torch.manual_seed(seed)
    model = build_model(cfg).train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".neck.head.back" in name:
                parameter.normal_(std=0.3)
            if name.startswith("teachers."):
                parameter.mul_(1.1)
    return model


def losses_of(model, batch):
    with EventStorage(5):
        return {k.removesuffix("_local"): v for k, v in model(batch).items()}


def seen(model, batch):
    return Labeled.stacked(batch["labeled"], model.device), model.stacked(batch["unlabeled"])


def taught_by(node, images, side, about):
    """The map of a teacher from its file, of positions with mean 0 and variance 1."""
    mean, std = (torch.tensor(about[key]).view(3, 1, 1) for key in ("mean", "std"))
    x = F.interpolate(images.float(), (side, side), mode="bilinear", align_corners=False)
    with torch.no_grad():
        found = build_backbone(node).eval()((x - mean) / std)["dense"]
    spread = (found.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return (found - found.mean(1, keepdim=True)) / spread


def told_by(student, dense, number):
    """What a neck tells of the map of a teacher."""
    tell = student.neck.head["tell"][number]
    hidden = torch.einsum("oc,bchw->bohw", tell[0].weight[..., 0, 0], dense)
    hidden = (hidden + tell[0].bias.view(-1, 1, 1)).clamp(min=0)
    out = torch.einsum("oc,bchw->bohw", tell[2].weight[..., 0, 0], hidden)
    return out + tell[2].bias.view(-1, 1, 1)


def test_the_terms_written_out(from_files, method_batch):
    cfg = from_files
    model, batch = build(cfg), method_batch(cfg)
    found, (x, u) = losses_of(model, batch), seen(model, batch)
    student, teacher = model.students["local"], model.teachers["local"]
    images = torch.cat([x.images, u.strong[0]])
    labels = u.pseudo_labels(teacher(u.weak), teacher(u.partner))["strong1"]
    error = F.cross_entropy(student(u.strong[0]), labels.label, reduction="none")
    kept = labels.kept(0.17)
    assert 0 < kept.sum() < labels.valid.sum()
    mask = torch.cat([x.target != 255, u.masks["strong1"]])
    dense = student.backbone(student.normalize(images))["dense"]
    # 28 pixels are 2 x 2 patches of 14; CLIP sees 16 as 2 x 2 patches of 8.
    distances = []
    for number, (name, side, about) in enumerate((("DINO", 28, DINO), ("CLIP", 16, CLIP))):
        target = taught_by(cfg.MODEL.RSMTDF[name], images, side, about)
        told = told_by(student, dense, number)
        told = F.interpolate(told, (2, 2), mode="bilinear", align_corners=False)
        squared = (told - target).square().mean(1)
        per_pixel = squared.repeat_interleave(16, 1).repeat_interleave(16, 2)
        distances.append(per_pixel[mask].mean())
    expected = {
        "loss_sup": F.cross_entropy(student(x.images), x.target, ignore_index=255),
        "loss_strong": (error * kept).sum() / labels.valid.sum(),
        "loss_distill": sum(distances) / 2,
    }
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], loss / 3, atol=1e-5, rtol=1e-4, msg=name)


def test_the_decoder_sees_the_fused_map_in_training_and_at_inference(cfg):
    model = build(cfg)
    images = torch.randint(0, 256, (2, 3, 32, 32)).byte()
    for student in (model.students["local"], model.teachers["local"].module):
        maps = student.backbone(student.normalize(images))
        back = student.neck.head["back"]
        added = 0.0
        for number in range(2):
            told = told_by(student, maps["dense"], number)
            weight = back[number].weight[..., 0, 0]
            added = added + torch.einsum("oc,bchw->bohw", weight, told)
            added = added + back[number].bias.view(-1, 1, 1)
        fused = {**maps, "dense": 0.8 * maps["dense"] + 0.1 * added}
        logits = student.head(fused, student.guidance())
        expected = F.interpolate(logits, (32, 32), mode="bilinear", align_corners=False)
        torch.testing.assert_close(student(images), expected, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(student.head(maps, student.guidance()), logits, atol=1e-4)
    (output,) = model.eval()([{"image": images[0]}])
    probs = model.teachers["local"](images[:1])[0].softmax(0)
    torch.testing.assert_close(output["sem_seg"], probs, atol=1e-5, rtol=1e-4)


def test_raw_maps_are_learned_where_that_is_wanted(cfg, method_batch):
    cfg.MODEL.RSMTDF.SAME_SCALE = False
    model = build(cfg)
    images = torch.randint(0, 256, (2, 3, 32, 32)).byte()
    _, clip = model.taught(images)
    torch.testing.assert_close(clip.norm(dim=1), torch.ones(2, 2, 2))  # CLIP's are unit vectors
    model.same_scale = True
    _, clip = model.taught(images)
    torch.testing.assert_close(clip.square().mean(1), torch.ones(2, 2, 2), atol=1e-2, rtol=0)


def test_frozen_teachers_are_no_part_of_the_model(from_files, method_batch):
    model = build(from_files)
    before = {*model.state_dict()}
    losses = losses_of(model, method_batch(from_files))
    assert len(model.frozen) == 2 and {*model.state_dict()} == before
    assert not any("frozen" in name for name in before)
    images = torch.randint(0, 256, (1, 3, 32, 32)).byte()
    taught = model.taught(images)
    assert not any(x.requires_grad for x in taught)
    trained = [p for p in model.parameters() if p.requires_grad]
    grads = torch.autograd.grad(sum(losses.values()), trained)
    with torch.no_grad():
        for parameter, grad in zip(trained, grads, strict=True):
            parameter.sub_(grad)
    model.train(False).train()
    again = model.taught(images)
    assert all(torch.equal(*pair) for pair in zip(taught, again, strict=True))


def test_a_model_is_built_without_them_and_they_once(cfg, method_batch, monkeypatch, log):
    from co2s.modeling.meta_arch import foundations

    built, make = [], foundations.build_teacher
    monkeypatch.setattr(foundations, "build_teacher", lambda *a: built.append(1) or make(*a))
    model = build(cfg).eval()
    model([{"image": torch.zeros(3, 32, 32).byte()}])
    assert not built
    for _ in range(2):
        losses_of(model.train(), method_batch(cfg))
    assert len(built) == 2
    assert log.text.count("this frozen teacher is random") == 2


def test_random_ones_are_the_same_in_every_process(cfg):
    images = torch.randint(0, 256, (1, 3, 32, 32)).byte()
    one, two = build(cfg, seed=0), build(cfg, seed=1)
    state = torch.get_rng_state()
    found = one.taught(images)
    assert torch.equal(torch.get_rng_state(), state), "a run's own numbers are left alone"
    torch.manual_seed(5)
    assert all(torch.equal(*pair) for pair in zip(found, two.taught(images), strict=True))


def test_both_terms_reach_the_translators_and_only_classes_the_way_back(cfg, method_batch):
    cfg.MODEL.RSMTDF.THRESHOLD = 0.0
    model = build(cfg)
    losses, neck = losses_of(model, method_batch(cfg)), model.students["local"].neck.head
    backbone = [p for p in model.students["local"].backbone.parameters() if p.requires_grad]
    parts = {"tell": [*neck["tell"].parameters()], "back": [*neck["back"].parameters()]}
    parts["backbone"] = backbone
    for term in ("sup", "strong", "distill"):
        for name, parameters in parts.items():
            found = torch.autograd.grad(
                losses[f"loss_{term}"], parameters, retain_graph=True, allow_unused=True
            )
            reached = not (term == "distill" and name == "back")
            assert all((g is not None) == reached for g in found), (term, name)


def test_a_neck_learns_at_the_head_s_rate(cfg):
    model = build(cfg)
    ids = {id(p) for p in model.students["local"].neck.parameters()}
    groups = build_optimizer(cfg, model).param_groups
    (group,) = [g for g in groups if ids & {id(p) for p in g["params"]}]
    assert group["role"] == "head" and ids <= {id(p) for p in group["params"]}


def test_a_student_of_its_own_keys_is_the_same_network(cfg):
    """What an export builds: no method, the node alone."""
    node = cfg.MODEL.LOCAL
    node.NECK.KEPT, node.NECK.HIDDEN = 0.5, 7
    model = build(cfg)
    assert node.NECK.DIMS == (), "the configuration that was given is left alone"
    node.NECK.DIMS = (24, 12)
    student = build_student(cfg, node)
    images = torch.randint(0, 256, (1, 3, 32, 32)).byte()
    dense = student.backbone(student.normalize(images))["dense"]
    torch.testing.assert_close(student.features(images)["dense"], 0.5 * dense)  # as it starts
    student.load_state_dict(model.students["local"].state_dict())
    torch.testing.assert_close(student(images), model.students["local"](images))
    assert {p.shape[0] for n, p in student.neck.named_parameters() if "tell" in n} == {7, 24, 12}


def test_one_frozen_teacher_and_students_of_any_patch(cfg, method_batch):
    cfg.MODEL.STUDENTS, cfg.MODEL.RSMTDF.TEACHERS = ("global", "local"), ("clip",)
    cfg.MODEL.LOCAL.BACKBONE.PATCH_SIZE = 12  # 32 pixels are padded to 36
    model = build(cfg)
    losses = losses_of(model, method_batch(cfg))
    assert losses["loss_distill_global"] > 0 and losses["loss_distill"] > 0
    assert model.students["local"].neck.head["tell"][0][2].out_channels == 12
    # The cells of the frozen map lie in the 32 pixels: a student's padding teaches nothing.
    _, u = seen(model, method_batch(cfg))
    student, mask = model.students["local"], torch.ones(2, 32, 32, dtype=torch.bool)
    maps = student.features(u.weak)
    told = maps["translated0"].detach().requires_grad_()
    taught = [torch.zeros(2, 12, 2, 2)]
    model.distill(student, {"translated0": told}, taught, mask, mask.sum()).backward()
    assert told.grad.shape[-2:] == (3, 3)
    # Centres at 8 and 24 pixels are 0.17 and 1.5 cells of 12 from the first centre.
    weights = torch.tensor([[1 - 1 / 6, 1 / 6, 0], [0, 0.5, 0.5]])
    at = torch.einsum("ij,bcjk,lk->bcil", weights, told.detach(), weights)
    error = at.square().mean()
    torch.testing.assert_close(model.distill(student, maps, taught, mask, mask.sum()), error)


@pytest.mark.parametrize("parts", [("backbone",), ("head",), ("backbone", "head")])
def test_in_mixed_precision(cfg, method_batch, parts):
    cfg.MODEL.STUDENTS = ("global", "local")  # maps of CLIP's are in the backbone's type
    check_mixed_precision(cfg, build, losses_of, method_batch(cfg), parts)


def test_what_cannot_be_is_refused(cfg, method_batch):
    cfg.MODEL.RSMTDF.TEACHERS = ("dino", "sam")
    with pytest.raises(ValueError, match=r"RSMTDF\.TEACHERS is \('dino', 'sam'\); .*clip"):
        build(cfg)
    cfg.MODEL.RSMTDF.TEACHERS = ("dino",)
    cfg.MODEL.LOCAL.NECK.DIMS = (24, 12)
    with pytest.raises(ValueError, match=r"LOCAL\.NECK\.DIMS is \[24, 12\].* have \[24\] channels"):
        losses_of(build(cfg), method_batch(cfg))
    cfg.MODEL.RSMTDF.DINO.BACKBONE.WEIGHTS = "no/such.safetensors"
    with pytest.raises(FileNotFoundError, match=r"such\.safetensors'"):
        type(build(cfg)).views(cfg)
