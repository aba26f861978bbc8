"""Every registered method: its state goes on exactly, starts from another's, and predicts."""

import pytest
import torch

from co2s.d2 import META_ARCH_REGISTRY, EventStorage, build_model
from co2s.modeling import build_student
from co2s.modeling.heads import HEAD_REGISTRY, Head


@pytest.fixture
def build(tiny_cfg, eager):
    """A function (method, seed) -> a model with averages, in training mode."""

    def make(name, seed=0):
        tiny_cfg.MODEL.META_ARCHITECTURE, tiny_cfg.MODEL.EMA_DECAY = name, 0.9
        eager(tiny_cfg)
        torch.manual_seed(seed)
        return build_model(tiny_cfg).train()

    return make


def steps(cfg, model, draw, numbers):
    """The losses of the last of some steps, each made with all that follows it."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for number in numbers:
        with EventStorage(number):
            losses = model(draw(cfg, seed=number))
        gradients = torch.autograd.grad(sum(losses.values()), trained)
        with torch.no_grad():
            for parameter, gradient in zip(trained, gradients, strict=True):
                parameter.sub_(0.1 * gradient)
        model.after_step(number)
    return losses


def test_a_saved_method_goes_on_exactly(tiny_cfg, build, method_batch, any_method):
    one, two = build(any_method), build(any_method, seed=1)
    steps(tiny_cfg, one, method_batch, range(2))
    two.load_state_dict({key: value.clone() for key, value in one.state_dict().items()})
    found = [steps(tiny_cfg, model, method_batch, range(2, 4)) for model in (one, two)]
    assert all(torch.equal(loss, found[1][name]) for name, loss in found[0].items())
    states = one.state_dict(), two.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_method_starts_from_a_checkpoint_of_labels_alone(
    tiny_cfg, build, method_batch, any_method
):
    prior = build("OnlySup").state_dict()
    model = build(any_method, seed=1)
    steps(tiny_cfg, model, method_batch, range(1))
    model.load_state_dict(prior)
    for key, value in prior.items():
        assert torch.equal(model.state_dict()[key], value), key
    fresh = build(any_method, seed=1)
    for key, value in model.state_dict().items():
        remembered = any(part in key for part in (".queues.", "ranks.", "thresholds."))
        assert not remembered or torch.equal(value, fresh.state_dict()[key]), key


def test_a_method_reads_its_own_keys_alone(tiny_cfg, any_method):
    """And those of a method it is a kind of: to the runner all others decide nothing."""
    tiny_cfg.MODEL.META_ARCHITECTURE = any_method
    kind = META_ARCH_REGISTRY.get(any_method)
    for name, other in META_ARCH_REGISTRY:
        if not issubclass(kind, other):
            tiny_cfg.MODEL.pop(name.upper(), None)
    kind.set_periods(tiny_cfg, 10)
    kind.views(tiny_cfg)
    build_model(tiny_cfg)


def test_a_method_predicts_in_detectron2_s_form(tiny_cfg, build, any_method):
    model = build(any_method).eval()
    item = {"image": torch.randint(0, 256, (3, 40, 48)).byte(), "height": 20, "width": 24}
    (output,) = model([item])
    assert set(output) == {"sem_seg", "sem_seg_global", "sem_seg_local"}
    for probs in output.values():
        assert probs.shape == (6, 20, 24)
        torch.testing.assert_close(probs.sum(0), torch.ones(20, 24))


def test_what_is_counted_beforehand_is_what_the_losses_count(
    tiny_cfg, build, method_batch, any_method
):
    """A step of one batch, with its counts handed in as those of several parts are."""
    model, batch = build(any_method), method_batch(tiny_cfg, seed=3)
    found = []
    for known in (False, True):
        with EventStorage(5):
            counts = {"counts": model.count([batch])} if known else {}
            found.append(model({**batch, **counts}))
    for name, loss in found[0].items():
        torch.testing.assert_close(loss, found[1][name], msg=name)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("head", sorted(name for name, _ in HEAD_REGISTRY))
def test_every_head_gives_its_feature_and_its_last_layers(tiny_cfg, head, linear):
    node = tiny_cfg.MODEL.LOCAL
    guided = getattr(HEAD_REGISTRY.get(head), "uses_guidance", True)
    node.HEAD.NAME, node.HEAD.LINEAR_PATH = head, linear
    node.GUIDANCE.NAME = "LearnableQueries" if guided else "NoGuidance"
    torch.manual_seed(0)
    student = build_student(tiny_cfg, node)
    for parameter in student.head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # a linear path would be 0
    size = (28, 42)  # padded to whole patches of 8
    maps = student.features(torch.rand(2, 3, *size) * 255)
    whole, hidden = student.decode(maps, size), student.hidden(maps)
    torch.testing.assert_close(student.classify(hidden, size), whole)
    assert hidden["feature"].shape[:2] == (2, student.decoder.feature_dim)
    assert hidden["feature"].shape[2:] == student.head(maps, student.guidance()).shape[2:]
    # An item's hidden state is its own, and the last layers are all that stand behind it.
    alone = student.classify({key: value[1:] for key, value in hidden.items()}, size)
    torch.testing.assert_close(alone, whole[1:], atol=1e-5, rtol=1e-4)
    layers = student.decoder.classifier()
    for layer in layers.values():
        for parameter in layer.parameters():
            torch.nn.init.zeros_(parameter)
    assert student.classify(hidden, size).count_nonzero() == 0
    other = {name: torch.nn.Conv2d(8, 8, 1) for name in layers}
    with pytest.raises(RuntimeError):
        student.classify(hidden, size, other)


def test_a_decoder_without_a_feature_is_refused(tiny_cfg):
    class Plain(torch.nn.Module):
        def forward(self, maps, guidance):
            return maps["dense"]

    student = build_student(tiny_cfg, tiny_cfg.MODEL.LOCAL)
    student.head = Plain()
    assert not isinstance(student.head, Head) and student.decode(
        student.features(torch.zeros(1, 3, 32, 32)), (32, 32)
    ).shape == (1, 32, 32, 32)
    with pytest.raises(ValueError, match=r"Plain gives none. Derive it from .*heads\.Head"):
        student.hidden(student.features(torch.zeros(1, 3, 32, 32)))


def test_cells_have_the_pixel_at_their_centre(tiny_cfg):
    student = build_student(tiny_cfg, tiny_cfg.MODEL.LOCAL)
    rows = torch.arange(1.0, 13.0)[None, None, :, None].expand(1, 1, 12, 8)
    found = student.at_cells(rows, (4, 2))  # 12 x 8 pixels, padded to 16 x 8: cells of 4 x 4
    assert found[0, 0, :, 0].tolist() == [3.0, 7.0, 11.0, 0.0]
