"""Text prototypes: the encoder against open_clip's, the average, templates, the file's record."""

import dataclasses

import numpy as np
import open_clip
import pytest
import torch

from co2s.data.catalog import SPECS_FOLDER
from co2s.data.spec.reader import load_spec
from co2s.modeling.guidance.text.concepts import check_templates, class_prototypes, read_templates
from co2s.modeling.guidance.text.encoder import (
    TextEncoder,
    build_text_tower,
    network_name,
    text_config,
    text_dim,
    text_models,
    text_tensors,
)
from co2s.modeling.guidance.text.file import load_prototypes, read_prototypes, write_prototypes
from co2s.modeling.guidance.text.record import PrototypeRecord, differences
from co2s.modeling.guidance.text.source import TextSource
from co2s.modeling.weights import WeightsError, file_digest

from .tiny_clip import NAME, register, tiny_clip, write_weights

QUICK = f"{NAME}-quickgelu"
CONCEPTS = (("building", "high-rise"), ("road",), ("bare soil", "quarry", "desert area"))
TEMPLATES = ("a photo of a {}", "{} from above")
RECORD = PrototypeRecord("m", "d" * 64, ("house", "road", "soil"), CONCEPTS, TEMPLATES)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    register(tmp_path_factory.mktemp("models"))


def written_out(clip, concepts, templates):
    """The average, sentence by sentence, with open_clip's own encode_text."""
    tokenizer = open_clip.get_tokenizer(NAME)
    rows = []
    for names in concepts:
        total, count = torch.zeros(24), 0
        for name in names:
            for template in templates:
                with torch.no_grad():
                    total += clip.encode_text(tokenizer([template.replace("{}", name)]))[0]
                count += 1
        mean = total / count
        rows.append(mean / mean.square().sum().sqrt())
    return torch.stack(rows)


@pytest.mark.parametrize("quick", [True, False])
def test_prototypes_are_the_normalised_mean_of_raw_features(tmp_path, quick):
    weights = write_weights(tmp_path / "clip.pt")
    made = TextSource(QUICK if quick else NAME, weights).prototypes(CONCEPTS, TEMPLATES)
    expected = written_out(tiny_clip(quick), CONCEPTS, TEMPLATES)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)
    # The checks that follow: the test would see another activation and another average.
    other = written_out(tiny_clip(not quick), CONCEPTS, TEMPLATES)
    assert (made - other).abs().max() > 1e-3
    tokens = open_clip.get_tokenizer(NAME)
    clip = tiny_clip(quick)

    def normalised(sentences):
        with torch.no_grad():
            return clip.encode_text(tokens(sentences), normalize=True)

    assert (made - class_prototypes(normalised, CONCEPTS, TEMPLATES)).abs().max() > 1e-3


def test_encoder_in_parts_is_the_encoder_at_once(tmp_path):
    encoder = TextEncoder.load(QUICK, write_weights(tmp_path / "clip.pt"))
    sentences = [f"a photo of number {i}" for i in range(70)]  # more than pass together
    with torch.no_grad():
        expected = tiny_clip().encode_text(open_clip.get_tokenizer(NAME)(sentences))
    torch.testing.assert_close(encoder(sentences), expected, atol=1e-4, rtol=1e-5)


def test_encoder_leaves_the_random_numbers_alone(tmp_path):
    weights = write_weights(tmp_path / "clip.pt")
    state = torch.get_rng_state()
    TextSource(QUICK, weights).prototypes(CONCEPTS, TEMPLATES)
    assert torch.equal(state, torch.get_rng_state())


def test_text_tower_has_the_tensors_of_open_clips_vit_b_16():
    with torch.device("meta"):
        whole = open_clip.model.CLIP(**open_clip.get_model_config("ViT-B-16"))
        tower = build_text_tower("ViT-B-16", False)
    expected = {name: t.shape for name, t in text_tensors(whole.state_dict()).items()}
    assert {name: t.shape for name, t in tower.state_dict().items()} == expected
    assert sum(shape.numel() for shape in expected.values()) == 63_428_096


def test_text_tensors_of_a_separate_text_tower_lose_their_prefix():
    one = torch.ones(1)
    names = ["visual.proj", "text.ln_final.weight", "logit_scale", "logit_bias"]
    assert text_tensors(dict.fromkeys(names, one)) == {"ln_final.weight": one}


def test_files_without_or_with_another_text_encoder(tmp_path):
    tensors = tiny_clip().state_dict()
    visual = {name: t for name, t in tensors.items() if name.startswith("visual.")}
    torch.save(visual, tmp_path / "visual.pt")
    with pytest.raises(WeightsError, match=r"no text encoder.*GUIDANCE\.TEXT_WEIGHTS"):
        TextEncoder.load(QUICK, str(tmp_path / "visual.pt"))
    torch.save({k: t for k, t in tensors.items() if k != "ln_final.bias"}, tmp_path / "less.pt")
    with pytest.raises(WeightsError, match=r"1 missing: ln_final\.bias"):
        TextEncoder.load(QUICK, str(tmp_path / "less.pt"))
    with pytest.raises(WeightsError, match="SHA-256"):
        TextEncoder.load(QUICK, write_weights(tmp_path / "clip.pt"), "0" * 64)


def test_a_sentence_longer_than_the_context_is_an_error(tmp_path):
    encoder = TextEncoder.load(QUICK, write_weights(tmp_path / "clip.pt"))
    assert encoder([" ".join(["road"] * 18)]).shape == (1, 24)
    with pytest.raises(ValueError, match=r"'road road.*21 tokens; tiny-clip-quickgelu reads 20"):
        encoder([" ".join(["road"] * 19)])


def test_models_whose_text_encoder_cannot_be_had():
    with pytest.raises(ValueError, match=r"no model named 'ViT-B-17'; it has .*ViT-B-16"):
        text_config("ViT-B-17")
    for name in ("ViT-B-16-SigLIP", "coca_ViT-B-32", "roberta-ViT-B-32"):
        with pytest.raises(ValueError, match="not open_clip's own"):
            text_config(name)


def test_dimensions_of_models():
    assert text_dim("ViT-B-16-quickgelu") == 512
    assert "ViT-L-14" in text_models(768)
    assert all(text_dim(name) == 768 for name in text_models(768))
    assert text_models(7) == []


def test_a_model_goes_by_the_activation_of_its_weights():
    assert network_name("ViT-B-16", "openai") == "ViT-B-16-quickgelu"
    assert network_name("ViT-B-16-quickgelu", "openai") == "ViT-B-16-quickgelu"
    assert network_name("ViT-B-16", "laion2b_s34b_b88k") == "ViT-B-16"


def test_concepts_of_every_built_in_dataset_fit_the_context():
    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    for path in SPECS_FOLDER.glob("*.yaml"):
        for entry in load_spec(path).classes:
            assert entry.concepts, f"{path.name}: {entry.name}"
            for concept in entry.concepts:
                count = len(tokenizer.encode(f"a photo of a {concept}")) + 2
                assert count <= tokenizer.context_length, f"{path.name}: {concept}"


def test_average_by_hand():
    features = {"a x": [3.0, 0.0], "b x": [0.0, 1.0], "a y": [-1.0, 1.0], "b y": [0.0, 1.0]}

    def encode(sentences):
        return torch.tensor([features[sentence] for sentence in sentences])

    both = class_prototypes(encode, [("x", "y"), ("x",)], ("a {}", "b {}"))
    expected = torch.tensor([[2 / 13**0.5, 3 / 13**0.5], [3 / 10**0.5, 1 / 10**0.5]])
    torch.testing.assert_close(both, expected)
    with pytest.raises(ValueError, match="Class 1 has no concepts"):
        class_prototypes(encode, [("x",), ()], ("a {}",))


@pytest.mark.parametrize(
    "template", ["a photo", "{} and {}", "a {name}", "a {0}", "{} {", "", "{{}}"]
)
def test_wrong_templates(tmp_path, template):
    with pytest.raises(ValueError, match=r"must have one '\{\}'"):
        check_templates(("a photo of a {}", template))
    path = tmp_path / "templates.txt"
    path.write_text(f"a photo of a {{}}\n{template}\n{{}}\n")
    with pytest.raises(ValueError, match=r"templates\.txt, line 2: .* must have one '\{\}'"):
        read_templates(path)


def test_templates_from_a_file(tmp_path):
    path = tmp_path / "templates.txt"
    path.write_text("a photo of a {}\r\nein Bild: {} von oben\n", encoding="utf-8-sig")
    assert read_templates(path) == ("a photo of a {}", "ein Bild: {} von oben")
    path.write_text("")
    with pytest.raises(ValueError, match="is empty"):
        read_templates(path)
    with pytest.raises(ValueError, match=r"TEMPLATES is empty"):
        check_templates(())


def test_file_and_record_survive(tmp_path):
    record = dataclasses.replace(RECORD, classes=("Wiese", "Straße", "道路"))
    vectors = torch.randn(3, 24)
    path = tmp_path / "new" / "x.npz"
    write_prototypes(path, vectors, record)
    array, found = load_prototypes(path)
    assert found == record
    np.testing.assert_array_equal(array, vectors.numpy())
    assert array.dtype == np.float32
    assert differences(found, record) == []
    assert [p.name for p in path.parent.iterdir()] == ["x.npz"], "no temporary file is left"
    with np.load(path, allow_pickle=False) as data:
        assert all(data[name].dtype != object for name in data)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    write_prototypes(path, torch.ones(3, 2), RECORD)
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        write_prototypes(path, torch.zeros(3, 2), RECORD)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]
    with pytest.raises(ValueError, match=r"written as \.npz.*x\.npy"):
        write_prototypes(tmp_path / "x.npy", torch.ones(3, 2), RECORD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "n"}, "model: found n, wanted m"),
        ({"digest": "e" * 64}, f"digest: found {'e' * 64}, wanted {'d' * 64}"),
        (
            {"templates": ("{}",)},
            "templates: found '{}', wanted 'a photo of a {}', '{} from above'",
        ),
        (
            {"concepts": (CONCEPTS[1], CONCEPTS[0], CONCEPTS[2])},
            "concepts: class 0 (house): found 'road', wanted 'building', 'high-rise'; "
            "class 1 (road): found 'building', 'high-rise', wanted 'road'",
        ),
        (
            {"concepts": CONCEPTS[:2], "classes": ("house", "road")},
            "concepts: found 2 classes (house, road), wanted 3 (house, road, soil)",
        ),
    ],
)
def test_each_of_the_four_that_differs_is_named(change, words):
    assert differences(dataclasses.replace(RECORD, **change), RECORD) == [words]


def test_all_that_differ_are_named_and_what_is_unknown_is_not_compared():
    other = PrototypeRecord("n", "e", ("a",) * 5, tuple((c,) for c in "abcde"), ("{}",))
    wanted = dataclasses.replace(RECORD, classes=("x",) * 5, concepts=(("y",),) * 5)
    lines = differences(other, wanted)
    assert [line.split(":")[0] for line in lines] == ["model", "digest", "templates", "concepts"]
    assert lines[3].endswith("and 2 more classes")
    assert differences(other, PrototypeRecord("", "", (), (), ())) == []
    renamed = dataclasses.replace(RECORD, classes=("a", "b", "c"))
    assert differences(renamed, RECORD) == [], "class names are not embedded"


def test_a_record_names_the_file_of_the_weights(tmp_path):
    weights = write_weights(tmp_path / "clip.pt")
    record = TextSource(QUICK, weights).record(["a", "b", "c"], CONCEPTS, list(TEMPLATES))
    expected = (QUICK, file_digest(weights), ("a", "b", "c"), CONCEPTS, TEMPLATES)
    assert dataclasses.astuple(record) == expected


def test_damaged_pickled_and_senseless_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"y\.npz.*GUIDANCE\.PROTOTYPES"):
        load_prototypes(tmp_path / "y.npz")
    path = tmp_path / "x.npz"
    write_prototypes(path, torch.ones(3, 24), RECORD)
    path.write_bytes(path.read_bytes()[:-60])
    np.save(tmp_path / "object.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.ones(3, np.float32))
    np.save(tmp_path / "whole.npy", np.ones((3, 24), int))
    np.save(tmp_path / "nan.npy", np.full((3, 24), np.nan))
    np.savez(tmp_path / "other.npz", text=np.ones((3, 24)))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").write_text("")
    expected = {
        "x.npz": "",
        "object.npy": "allow_pickle",
        "flat.npy": r"shape \(3,\)",
        "whole.npy": "type int",
        "nan.npy": "not finite",
        "other.npz": r"\['text'\] and none called prototypes",
        "text.npy": "",
        "empty.npy": "",
    }
    for name, words in expected.items():
        with pytest.raises(ValueError, match=rf"{name}' cannot be read \(.*{words}"):
            load_prototypes(tmp_path / name)


def test_an_array_alone_loads_and_the_log_says_that_it_cannot_be_checked(tmp_path, log):
    array = np.random.default_rng(0).normal(size=(3, 24))
    np.save(tmp_path / "x.npy", array)
    loaded, record = read_prototypes(str(tmp_path / "x.npy"), 3, 24)
    assert record is None
    assert "cannot be checked, only the shape (3, 24)" in log.text
    assert loaded.dtype == torch.float32
    np.testing.assert_array_equal(loaded.numpy(), array.astype(np.float32))
    log.clear()
    write_prototypes(tmp_path / "x.npz", loaded, RECORD)
    assert read_prototypes(str(tmp_path / "x.npz"), 3, 24)[1] == RECORD
    assert "cannot be checked" not in log.text
