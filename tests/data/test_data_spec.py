"""Dataset files: the shipped ones, and the errors of wrong ones."""

from pathlib import Path

import pytest
import yaml

from co2s.data import get_spec
from co2s.data.spec.reader import load_spec, spec_from_dict


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("whdld", 6),
        ("loveda", 7),
        ("potsdam", 6),
        ("gid15", 15),
        ("mer", 9),
        ("msl", 9),
        ("synthetic_aerial", 6),
    ],
)
def test_shipped_datasets_have_their_classes_colours_and_concepts(name, classes):
    spec = get_spec(name)
    assert len(spec.classes) == classes
    assert len({entry.color for entry in spec.classes}) == classes
    assert all(len(entry.concepts) in (5, 6, 7) for entry in spec.classes)


def test_label_shift_is_as_in_the_paper():
    shifted = {"whdld", "loveda", "potsdam"}
    for name in (*shifted, "gid15", "mer", "msl"):
        labels = get_spec(name).labels
        expected = (-1, (0,)) if name in shifted else (0, ())
        assert (labels.offset, labels.ignore) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, r"unknown key \['colour'\] in the file"),
        ({"labels": {"encoding": "index", "ofset": 1}}, r"unknown key \['ofset'\] in labels"),
        ({"labels": None}, r"missing key \['labels'\]"),
        ({"labels": {"encoding": "rgb"}}, '"index", "color", "coco"'),
        ({"labels": {"encoding": "index", "map": {1: 2}}}, r"classes 0\.\.1"),
        ({"labels": {"encoding": "color", "ignore": [[0, 0, 200]]}}, "share a colour"),
        ({"labels": {"encoding": "color", "ignore": [0]}}, r"\[r, g, b\]"),
        ({"layout": {"images": "{a}.png", "labels": "{b}.png"}}, r"parts \['b'\]"),
        ({"splits": {"fractions": ["1_2"], "train": {"tile": ["1"]}}}, r"parts \['tile'\]"),
        ({"splits": {"fractions": [12]}}, "quote numbers"),
        ({"splits": {"fractions": []}}, "at least one split"),
        ({"layout": None}, "splits.folder"),
        ({"classes": []}, "1 to 254"),
        ({"classes": [{"name": "a", "color": [0, 0], "concepts": []}]}, r"classes\[0\]"),
    ],
)
def test_a_wrong_entry_is_named(content, change, words):
    with pytest.raises(ValueError, match=words):
        spec_from_dict({**content, **change})


def test_a_pool_of_plain_images_needs_neither_classes_nor_labels(content):
    pool = {"name": "pool", "root": "pool", "layout": {"images": "{a}/*.tif", "window": 64}}
    spec = spec_from_dict(pool)
    assert spec.is_pool and spec.class_names == [] and spec.layout.window == 64
    assert not spec_from_dict(content).is_pool
    for change, words in (
        (
            {"layout": {"images": "{a}.tif", "labels": "{a}.png"}},
            r"missing key \['classes', 'labels",
        ),
        ({"splits": {"folder": "lists"}}, r"missing key \['classes', 'labels'\]"),
        ({"labels": {"encoding": "index"}}, r"missing key \['classes', 'splits'\]"),
        ({"classes": content["classes"]}, r"missing key \['labels', 'splits'\]"),
        ({"name": "a/b"}, "may hold no /"),
    ):
        with pytest.raises(ValueError, match=words):
            spec_from_dict({**pool, **change})


def test_the_file_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nroot: mine\n")
    with pytest.raises(ValueError, match=r"mine\.yaml is wrong: missing key"):
        load_spec(path)
    path.write_text("name: [")
    with pytest.raises(ValueError, match=r"mine\.yaml is wrong"):
        load_spec(path)


def test_files_cannot_run_code(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("!!python/object/apply:os.mkdir ['evil']")
    with pytest.raises(ValueError, match=r"evil\.yaml"):
        load_spec(path)


def test_the_file_that_the_docs_build_step_by_step_is_valid():
    docs = Path(__file__).parents[2] / "docs" / "add_a_dataset.md"
    blocks = docs.read_text(encoding="utf-8").split("```yaml\n")[1:]
    spec = spec_from_dict(yaml.safe_load("".join(block.split("```")[0] for block in blocks)))
    assert spec.name == "dubai72" and spec.num_bands == 4
    assert spec.layout.unlabeled == ("more/**/*.jpg",) and spec.splits.spread == "tile"


def test_labels_are_built_from_parts_not_found_by_wildcards(content):
    content["layout"] = {"images": "*/{name}.png", "labels": "*/{name}_mask.png"}
    with pytest.raises(ValueError, match=r"layout\.labels .* cannot hold \* or \?"):
        spec_from_dict(content)
