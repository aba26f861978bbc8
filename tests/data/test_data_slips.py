"""Slips in dataset files: values of the wrong type are named by file and key, or understood."""

import math

import pytest
import yaml

from co2s.data.spec.reader import load_spec, spec_from_dict


def changed(content, key, value):
    """The content with another value at a key such as "labels.map"."""
    *outer, last = key.split(".")
    inner = content
    for part in outer:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return content


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("name", 2023, r"name must be text \(quote numbers, yes and no\), found 2023"),
        ("name", "a/b", "name stands in the names of splits and folders.*'a/b'"),
        ("root", ["a"], r"root must be text \(one text, not a list\), found \['a'\]"),
        ("layout.images", ["{n}.png"], r"layout\.images must be text \(one text, not a list\)"),
        ("layout.images", 3, r"layout\.images must be text .*found 3"),
        ("layout.labels", ["{n}.png"], r"layout\.labels must be text"),
        ("layout.images", "{set}/{name.png", r"layout\.images must name its parts .*\{name\.png"),
        ("layout.labels", "{set}/{name:03d}.png", r"layout\.labels: a part .*found \{name:03d\}"),
        ("layout.labels", "{set}/{name!r}.png", r"layout\.labels: a part .*found \{name!r\}"),
        ("layout.images", "{}/{name}.png", r"layout\.images: a part .*found \{\}"),
        ("layout.unlabeled", ["{0}.png"], r"layout\.unlabeled\[0\]: a part .*found \{0\}"),
        ("layout.unlabeled", [["a"]], r"layout\.unlabeled\[0\] must be text"),
        ("layout.window", "32", r"layout\.window must be a whole number, without quotes"),
        ("layout.window", True, r"layout\.window must be a whole number, found True"),
        ("layout.window", 0, r"layout\.window must be a side in pixels"),
        ("layout.cover", "false", r"layout\.cover must be true or false, without quotes"),
        ("splits.seed", "abc", r"splits\.seed must be a whole number, found 'abc'"),
        ("splits.seed", -1, r"splits\.seed must be 0 or more"),
        ("splits.folder", ["a"], r"splits\.folder must be text"),
        ("splits.spread", ["set"], r"splits\.spread must be text"),
        ("splits.val", ["set"], r"splits\.val must be a mapping"),
        ("splits.val", {"set": "val"}, r"splits\.val\.set must be a list"),
        ("splits.val", {"set": [1]}, r"splits\.val\.set\[0\] must be text \(quote numbers"),
        ("labels.map", {0: 0.5}, r"labels\.map\.0 must be a whole number, found 0\.5"),
        ("labels.map", {"0": 0}, r"the key '0' of labels\.map must be a whole number, without"),
        ("labels.map", {False: 0}, r"the key False of labels\.map must be a whole number"),
        ("labels.map", [0, 1], r"labels\.map must be a mapping"),
        ("labels.offset", "-1", r"labels\.offset must be a whole number, without quotes"),
        ("labels.ignore", 0, r"labels\.ignore must be a list"),
        ("labels.ignore", ["x"], r"labels\.ignore\[0\] must be a number .*found 'x'"),
        ("labels.band", 0, r"labels\.band must be a band number from 1 on"),
        ("labels.encoding", ["index"], r"labels\.encoding must be text"),
        ("labels", {"encoding": "color", "map": {0: 0}}, r"labels\.map has no meaning for .*color"),
        ("labels.background", "land", r"labels\.background has no meaning for encoding: index"),
        ("raster.nodata", "none", r"raster\.nodata must be a number .*none\), found 'none'"),
        ("raster.bands", [1, 2, "3"], r"raster\.bands\[2\] must be a whole number, without"),
        ("raster.scale", {"statistics": "s.json", "deviations": "two"}, r"scale\.deviations must"),
        ("raster.scale", {"statistics": ["s.json"]}, r"raster\.scale\.statistics must be text"),
        ("raster.scale", {"range": [0, "x"]}, r"raster\.scale\.range must be a number"),
        ("raster.scale", {"range": []}, r"raster\.scale\.range must be \[low, high\]"),
        ("raster.scale", {"range": [0, 1], "deviations": 2}, "has no meaning for range"),
        ("classes", [{"name": True, "color": [0] * 3, "concepts": []}], r"classes\[0\]\.name must"),
        ("classes", [3], r"classes\[0\] must be a mapping, found 3"),
        ("classes", {"a": 1}, r"classes must be a list"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(tmp_path, content, key, value, words):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(changed(content, key, value)))
    with pytest.raises(ValueError, match=rf"mine\.yaml is wrong: .*{words}"):
        load_spec(path)


@pytest.mark.parametrize(
    ("text", "number"), [("nan", math.nan), ('"0"', 0), ("-3.4e38", -3.4e38), (".nan", math.nan)]
)
def test_numbers_that_yaml_takes_for_text_are_numbers(tmp_path, content, text, number):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content) + f"raster:\n  nodata: {text}\n")
    found = load_spec(path).raster.nodata
    assert found == number or (math.isnan(found) and math.isnan(number))


def test_whole_numbers_with_a_point_are_whole(content):
    labels = {"encoding": "index", "map": {0: 0.0, 5.0: 1.0}, "ignore": [3.0, 1.5, math.nan]}
    read = spec_from_dict(content | {"labels": labels}).labels
    assert repr(read.map) == "{0: 0, 5: 1}"
    assert repr(read.ignore[:2]) == "(3, 1.5)" and math.isnan(read.ignore[2])


def test_an_empty_key_is_one_left_away(content):
    content["layout"] |= {"window": None, "unlabeled": None, "cover": None}
    layout = spec_from_dict(content).layout
    assert (layout.window, layout.unlabeled, layout.cover) == (None, (), False)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("labels:\n  ignore: [0]\n  ignore: [7]\n", "'ignore' stands twice, in the lines 3 and 4"),
        ("labels:\n  map: {0: 0, 1: 0, 1: 1}\n", "'1' stands twice, in the lines 3 and 3"),
        ("root: a\nname: b\n", "'name' stands twice, in the lines 1 and 3"),
    ],
)
def test_a_key_that_stands_twice(tmp_path, lines, words):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\n" + lines)
    with pytest.raises(ValueError, match=rf"mine\.yaml is wrong: the key {words}"):
        load_spec(path)


def test_merged_keys_may_be_overridden(tmp_path, content):
    path = tmp_path / "mine.yaml"
    del content["labels"]
    text = "labels: {<<: &base {<<: {offset: 3}, encoding: index, offset: 1}, offset: -1}\n"
    path.write_text(yaml.safe_dump(content) + text)
    assert load_spec(path).labels.offset == -1


def test_other_splits_of_a_dataset_take_the_rest_from_its_file(tmp_path, content):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    other = tmp_path / "other.yaml"
    other.write_text("_BASE_: mine.yaml\nname: other\nsplits: {fractions: [], folder: lists}\n")
    whole, read = load_spec(tmp_path / "mine.yaml"), load_spec(other)
    assert (read.name, read.splits.folder) == ("other", "lists")
    assert read.splits.fractions == (), "a key of its own replaces the whole"
    assert (read.classes, read.layout, read.root) == (whole.classes, whole.layout, whole.root)
    other.write_text("_BASE_: none.yaml\nname: other\n")
    with pytest.raises(ValueError, match=r"other\.yaml is wrong: _BASE_ names .*none\.yaml, which"):
        load_spec(other)
    other.write_text("_BASE_: other.yaml\n")
    with pytest.raises(ValueError, match="must be a whole dataset file by itself"):
        load_spec(other)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_dataset_files_of_other_editors(tmp_path, content, encoding):
    content["classes"][0]["name"] = "forêt | 建筑"
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding=encoding)
    assert load_spec(path).class_names[0] == "forêt | 建筑"


def test_the_encoding_of_a_dataset_file_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes("name: forêt".encode("latin-1"))
    with pytest.raises(ValueError, match=r"mine\.yaml is no text in UTF-8: byte 0xea"):
        load_spec(path)
