"""A checkpoint knows what its text prototypes were made from, and is held to it."""

from types import SimpleNamespace

import pytest
import torch

from co2s.d2 import DetectionCheckpointer, MetadataCatalog
from co2s.modeling import build_student
from co2s.modeling.guidance.text.file import write_prototypes
from co2s.modeling.guidance.text.record import STAND_IN, PrototypeRecord

NAMES = ("field", "river", "house")
CONCEPTS = (("field", "meadow"), ("river",), ("house", "shed"))
TEMPLATES = ("a photo of a {}",)
RECORD = PrototypeRecord("tiny", "d" * 64, NAMES, CONCEPTS, TEMPLATES)


@pytest.fixture
def run(tiny_cfg, tmp_path):
    """Functions: the dataset of the configuration, a file of prototypes, students, checkpoints."""
    cfg, node = tiny_cfg, tiny_cfg.MODEL.GLOBAL
    cfg.MODEL.NUM_CLASSES = 0
    registered = []

    def dataset(names=NAMES, concepts=CONCEPTS):
        name = f"{tmp_path.name}_{len(registered)}_labeled"
        MetadataCatalog.get(name).set(stuff_classes=list(names), concepts=list(concepts))
        registered.append(name)
        cfg.DATASETS.LABELED = (name,)

    def file(name="text.npz", record=RECORD, seed=0):
        generator = torch.Generator().manual_seed(seed)
        write_prototypes(tmp_path / name, torch.randn(3, 24, generator=generator), record)
        node.GUIDANCE.PROTOTYPES = str(tmp_path / name)

    def save():
        student = build_student(cfg, node)
        DetectionCheckpointer(student, str(tmp_path)).save("trained")
        cfg.MODEL.WEIGHTS = str(tmp_path / "trained.pth")
        node.GUIDANCE.PROTOTYPES = ""
        return student

    def load():
        student = build_student(cfg, node)
        DetectionCheckpointer(student).load(cfg.MODEL.WEIGHTS)
        return student

    dataset()
    file()
    yield SimpleNamespace(
        cfg=cfg, node=node, dataset=dataset, file=file, save=save, load=load, folder=tmp_path
    )
    for name in registered:
        MetadataCatalog.remove(name)


def test_prototypes_and_record_come_back(run):
    trained = run.save()
    data = torch.load(run.folder / "trained.pth", weights_only=True)["model"]
    assert [name for name in data if "record" in name] == [
        f"guidance.record_{len(RECORD.to_tensor())}"
    ]
    loaded = run.load()
    assert loaded.guidance.record == RECORD == trained.guidance.record
    assert torch.equal(loaded.guidance(), trained.guidance())
    # As a method does, which asks for strictness; and what is loaded can be saved again.
    loaded.load_state_dict(data, strict=True)
    assert loaded.state_dict().keys() == data.keys()


OTHER_NAMES = ("house", "field", "river")  # as many letters: the record is as long


@pytest.mark.parametrize(
    ("names", "concepts", "words"),
    [
        (OTHER_NAMES, CONCEPTS, "classes: found 'field', .*, wanted 'house', 'field', 'river'"),
        (
            NAMES,
            (("field",), ("river",), ("house",)),
            r"concepts: class 0 \(field\): found 'field'",
        ),
        (
            NAMES,
            (*CONCEPTS[:2], ("house", "shop")),
            "found 'house', 'shed', wanted 'house', 'shop'",
        ),
        (("a", "b"), (("a",), ("b",)), "concepts: found 3 classes .field, .*, wanted 2 .a, b"),
    ],
)
def test_a_dataset_of_other_classes_is_an_error_that_names_both(run, names, concepts, words):
    run.save()
    run.dataset(names, concepts)
    with pytest.raises(ValueError, match=words) as caught:
        run.load()
    text = str(caught.value)
    assert "guidance.prototypes" in text and run.cfg.DATASETS.LABELED[0] in text
    assert "config.yaml" in text and "GUIDANCE.PROTOTYPES" in text


def test_other_templates_are_an_error_too(run):
    run.save()
    run.node.GUIDANCE.TEMPLATES = ("{} from above",)
    with pytest.raises(ValueError, match=r"templates: found 'a photo of a \{\}', wanted '\{\} "):
        run.load()


def test_a_dataset_that_declares_nothing_asks_nothing(run):
    run.save()
    run.cfg.DATASETS.LABELED, run.cfg.MODEL.NUM_CLASSES = (), 3
    assert run.load().guidance.record == RECORD


def test_a_file_that_is_given_replaces_the_checkpoint_s(run, log):
    run.save()
    other = PrototypeRecord("m", "e" * 64, OTHER_NAMES, (("x",), ("y",), ("z",)), TEMPLATES)
    run.dataset(OTHER_NAMES, other.concepts)
    run.file("other.npz", other, seed=1)
    student = run.load()
    own = build_student(run.cfg, run.node).guidance()
    assert torch.equal(student.guidance(), own)
    assert student.guidance.record == other
    assert "other.npz' (GUIDANCE.PROTOTYPES) replace the checkpoint's" in log.text


def test_a_file_of_other_classes_is_an_error_too(run):
    """As in the config.yaml of a run, taken for another dataset."""
    run.save()
    run.file()
    run.dataset(NAMES, (*CONCEPTS[:2], ("house", "shop")))
    with pytest.raises(
        ValueError, match=r"PROTOTYPES '.*text\.npz' were made.*(.|\n)*wanted 'house', 's"
    ):
        run.load()


def test_the_run_s_own_file_is_nothing_new(run, log):
    run.save()
    run.file()
    run.load()
    assert "replace" not in log.text


def test_a_run_s_own_file_need_not_travel_with_the_checkpoint(run, log):
    trained = run.save()
    run.node.GUIDANCE.PROTOTYPES = str(run.folder / "away.npz")
    assert torch.equal(run.load().guidance(), trained.guidance())
    assert "away.npz' is not there: those of the checkpoint are used" in log.text


def test_older_checkpoints_without_a_record_load_and_the_log_says_so(run, log):
    run.save()
    path = run.folder / "trained.pth"
    content = torch.load(path, weights_only=True)
    content["model"] = {k: v for k, v in content["model"].items() if "record" not in k}
    torch.save(content, path)
    run.dataset(OTHER_NAMES)
    student = run.load()
    assert student.guidance.record is None
    assert log.text.count("does not say which classes and concepts") == 1
    assert not [name for name in student.state_dict() if "record" in name]


def test_vectors_without_text_are_not_compared(run, log):
    run.node.GUIDANCE.PROTOTYPES = ""
    run.save()
    run.dataset(OTHER_NAMES)
    assert run.load().guidance.record == STAND_IN
    assert "does not say" not in log.text


def test_a_damaged_record(run):
    run.save()
    state = build_student(run.cfg, run.node).state_dict()
    state["guidance.record_3"] = torch.tensor([123, 34, 7], dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"record of its text prototypes cannot be read.*damaged"):
        build_student(run.cfg, run.node).load_state_dict(state)


def test_a_record_in_any_language_survives():
    record = PrototypeRecord("m", "d", ("Straße",), (("道路", "🛣"),), ("{}",))
    assert PrototypeRecord.from_tensor(record.to_tensor()) == record
