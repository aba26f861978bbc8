"""The purifier: its formulas by hand, what it can keep, and that it is of any method."""

import pytest
import torch

from co2s.d2 import META_ARCH_REGISTRY, EventStorage, build_model
from co2s.modeling.purify import PURIFIER_REGISTRY, build_purifier, claimed, purified
from co2s.structures import PseudoLabel

TAU = 0.95
NO_LABELS = ("MUCA",)  # learns what the teacher says as it is; no pseudo-label is in its losses


def labels(label, confidence):
    """Of one row of pixels."""
    label, confidence = torch.tensor([[label]]), torch.tensor([[confidence]])
    return PseudoLabel(label, confidence, torch.ones_like(label, dtype=torch.bool))


def scores(*columns):
    """(1, N, 1, W) uint8 from the scores of the classes at each pixel."""
    return (torch.tensor(columns).T[None, :, None] * 255).round().byte()


def row(found):
    return found.label[0, 0].tolist(), found.confidence[0, 0].tolist()


@pytest.fixture
def purifying(tiny_cfg):
    def choose(**keys):
        tiny_cfg.MODEL.PURIFIER.NAME, tiny_cfg.MODEL.PURIFIER.BOXES = "VLMPurifier", "boxes"
        for key, value in keys.items():
            tiny_cfg.MODEL.PURIFIER[key] = value
        return tiny_cfg

    return choose


def test_formulas_by_hand():
    own = labels([0, 0, 0, 0, 0, 0], [0.25, 0.25, 0.5, 0.5, 0.35, 0.8])
    said = scores(
        (0, 0.95, 0),  # another class: replaced, where c < 0.3
        (0.95, 0.95, 0),  # its own class as well: not denied
        (0.95, 0, 0),  # the same class
        (0, 0, 0.95),  # another one
        (0.2, 0.6, 0),  # a share of 1/4 for the own one
        (0, 0.95, 0),  # the teacher is sure
    )
    found = purified(own, said)
    # (c / 0.7) c + (1 - c / 0.7) p
    blended = [0.25**2 / 0.7 + (1 - 0.25 / 0.7) / 2, 0.5**2 / 0.7 + 1 - 0.5 / 0.7, 0.5**2 / 0.7]
    blended.append(0.35**2 / 0.7 + 0.5 / 4)
    assert row(found)[0] == [1, 0, 0, 0, 0, 0]
    assert row(found)[1] == pytest.approx([1.0, *blended, 0.8], abs=1e-3)
    assert found.accepted is None


def test_what_no_class_claims_stays():
    own = labels([0, 2], [0.1, 0.6])
    found = purified(own, scores((0, 0, 0), (0, 0, 0)), threshold=0.01)
    assert row(found) == row(own) and not found.accepted.any()


def test_the_paper_s_constants_can_change_what_is_kept():
    own = labels([0, 0, 0], [0.25, 0.5, 0.97])
    said = scores((0, 0.95, 0), (0.95, 0, 0), (0, 0.95, 0))
    assert own.kept(TAU).tolist() == [[[False, False, True]]]
    assert purified(own, said).kept(TAU).tolist() == [[[True, False, True]]]
    assert purified(own, said, threshold=0.6).kept(TAU).tolist() == [[[True, True, True]]]


def test_the_release_s_softmax_cannot_unless_purified_pixels_have_a_threshold():
    """Over scores of 0 and 0.95 no probability is above 0.34 with six classes."""
    confidence = torch.linspace(0.17, 0.69, 40).tolist()
    for label in (0, 1):  # the one that is claimed, and another one
        own, said = labels([label] * 40, confidence), scores(*[(0.95, 0, 0, 0, 0, 0)] * 40)
        found = purified(own, said, softmax=True)
        assert found.confidence.max() < 0.7
        assert not found.kept(TAU).any()
        assert purified(own, said, softmax=True, threshold=0.3).kept(TAU).any()
    replaced = purified(labels([1], [0.2]), scores((0.95, 0, 0, 0, 0, 0)), softmax=True)
    assert replaced.confidence.item() == pytest.approx(0.341, abs=1e-3)


def test_which_shared_labels_count_by_the_threshold_of_docs_methods():
    """conf' = 1 - (c / 0.7)(1 - c) for a single claimant: 0.643 at least, 0.7 from c = 0.3 down."""
    confidence = torch.arange(0.17, 0.70, 0.01)
    single = scores(*[(0.95, 0, 0)] * len(confidence))
    two = scores(*[(0.95, 0.95, 0)] * len(confidence))
    own = labels([0] * len(confidence), confidence.tolist())
    assert purified(own, single, threshold=0.6).kept(TAU).all()
    strict = purified(own, single, threshold=0.7).kept(TAU)[0, 0]
    assert torch.equal(strict, confidence < 0.305)
    torn = purified(own, two, threshold=0.6).kept(TAU)[0, 0]
    assert torch.equal(torn, confidence > 0.615)
    denied = labels([2] * len(confidence), confidence.tolist())
    kept = purified(denied, single, threshold=0.6)
    assert torch.equal(kept.kept(TAU)[0, 0], confidence < 0.295), "only what is replaced"


def test_accepted_pixels_are_pasted_and_padding_never_counts():
    own = purified(labels([0, 0, 0], [0.5] * 3), scores(*[(0.95, 0, 0)] * 3), threshold=0.6)
    other = labels([1, 1, 1], [0.5, 0.99, 0.5])
    box = torch.tensor([[[True, True, False]]])
    mixed = own.cutmix(other, box)
    assert mixed.accepted.tolist() == [[[False, False, True]]]
    assert mixed.kept(TAU).tolist() == [[[False, True, True]]]
    assert other.cutmix(own, box).kept(TAU).tolist() == [[[True, True, False]]]
    assert other.cutmix(other, box).accepted is None
    padding = PseudoLabel(own.label, own.confidence, ~own.valid, own.accepted)
    assert not padding.kept(0.0).any()


def test_the_class_that_is_claimed_most():
    said = claimed(scores((0, 0.4, 0.5), (0, 0, 0), (0.1, 0, 0)))
    assert said.tolist() == [[[2, 255, 0]]] and said.dtype == torch.uint8


def test_none_is_built_where_none_is_asked_for(tiny_cfg, purifying):
    assert build_purifier(tiny_cfg) is None
    assert build_purifier(purifying()) is not None
    with pytest.raises(ValueError, match="'Purifier'; known are VLMPurifier"):
        build_purifier(purifying(NAME="Purifier"))
    with pytest.raises(ValueError, match=r"needs MODEL\.PURIFIER\.BOXES"):
        build_purifier(purifying(NAME="VLMPurifier", BOXES=""))
    with pytest.raises(ValueError, match=r"REPLACE is 0\.8 and UNSURE 0\.7"):
        build_purifier(purifying(REPLACE=0.8, BOXES="boxes"))


def test_items_without_boxes_are_refused(purifying, method_batch):
    cfg = purifying()
    with EventStorage(0), pytest.raises(ValueError, match=r"no grounding.*MODEL.PURIFIER.BOXES"):
        build_model(cfg).train()(method_batch(cfg))


def grounded(batch, classes=6):
    """Every item and partner with a map of its own: the whole view is of one class."""
    for number, item in enumerate(batch["unlabeled"]):
        for part, label in ((item, number), (item["partner"], number + 2)):
            part["grounding"] = torch.zeros(classes, *part["valid"].shape, dtype=torch.uint8)
            part["grounding"][label] = 242
    return batch


@pytest.mark.parametrize("partner", ["other", "rolled", "previous"])
def test_each_map_purifies_the_labels_of_its_own_image(purifying, method_batch, partner):
    """Everything is replaced, so that a label says whose map it is by."""
    cfg = purifying(UNSURE=1.0, REPLACE=1.0)
    cfg.MODEL.META_ARCHITECTURE, cfg.DATALOADER.CUTMIX_PARTNER = "FixMatch", partner
    model = build_model(cfg).train()
    before = grounded(method_batch(cfg, seed=1))["unlabeled"]
    items = grounded(method_batch(cfg))["unlabeled"]
    own, inside = [0, 1], {"other": [2, 3], "rolled": [1, 0], "previous": [4, 5]}[partner]
    if partner == "previous":
        for item, label in zip(before, inside, strict=True):
            item["grounding"] = item["grounding"].roll(4, 0)
            assert item["grounding"][label].all()
        u = model.stacked(before)
        model.partners.remember(before, {n: m(u.weak) for n, m in model.labelers.items()})
    shown = model.shown({"labeled": [], "unlabeled": items})
    for views in shown.values():
        assert views.keys() == {"before", "weak", "strong1"}
        assert views["before"].label.unique().numel() > 1
        for i, item in enumerate(items):
            box = item["cutmix"][0]
            assert box.any() and not box.all()
            assert views["weak"].label[i].unique().tolist() == [own[i]]
            assert views["strong1"].label[i][~box].unique().tolist() == [own[i]]
            assert views["strong1"].label[i][box].unique().tolist() == [inside[i]]


def losses(cfg, batch):
    torch.manual_seed(0)
    model = build_model(cfg).train()
    for step in (5, 6):  # DWL ranks among the steps before
        model.tally = {}
        with EventStorage(step):
            found = model(batch)
        model.after_step(step)
    return found, model.tally


def test_the_labels_of_every_method_are_purified(
    purifying, tiny_cfg, eager, method_batch, any_method
):
    """Where boxes give every pixel of an image one class, its losses are others."""
    tiny_cfg.MODEL.META_ARCHITECTURE = any_method
    eager(tiny_cfg)
    if META_ARCH_REGISTRY.get(any_method).views(tiny_cfg) is None:
        pytest.skip("it makes no pseudo-labels")
    plain, _ = losses(tiny_cfg, method_batch(tiny_cfg))
    unread, tally = losses(tiny_cfg, grounded(method_batch(tiny_cfg)))
    assert all(torch.equal(value, unread[name]) for name, value in plain.items())
    assert not any("before" in name for name in tally)
    found, tally = losses(purifying(UNSURE=1.0, REPLACE=1.0), grounded(method_batch(tiny_cfg)))
    changed = {name for name, value in found.items() if not torch.equal(value, plain[name])}
    assert bool(changed) == (any_method not in NO_LABELS)
    assert not any(name.startswith("loss_sup") for name in changed)
    for name in ("global", "local"):
        assert tally[f"replaced/{name}"].sum() > 0
        assert set(tally[f"labeled/{name}"].nonzero().flatten().tolist()) == {0, 1}
        assert tally[f"labeled_before/{name}"].sum() == tally[f"labeled/{name}"].sum()


def test_a_purifier_of_one_s_own(purifying, method_batch, monkeypatch):
    monkeypatch.setattr(PURIFIER_REGISTRY, "_obj_map", dict(PURIFIER_REGISTRY._obj_map))

    @PURIFIER_REGISTRY.register()
    class Nothing:
        """Keeps no label."""

        def __init__(self, cfg):
            pass

        def __call__(self, labels, scores):
            assert scores is None, "it asks for no boxes"
            return PseudoLabel(labels.label, labels.confidence * 0, labels.valid)

    cfg = purifying(NAME="Nothing", BOXES="")
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.FIXMATCH.THRESHOLD = "FixMatch", 0.1
    found, tally = losses(cfg, method_batch(cfg))
    assert found["loss_strong_global"] == found["loss_strong_local"] == 0
    assert tally["kept_before/global"].sum() > 0 == tally["kept/global"].sum()
