"""Names, records, roots, and the errors of data that is not as it should be."""

import json
from dataclasses import replace

import pytest
import yaml

from co2s.d2 import DatasetCatalog, MetadataCatalog
from co2s.data import get_records, register_dataset, register_spec_file, set_root
from co2s.data.spec.reader import spec_from_dict


def names(records):
    return {record["image_id"] for record in records}


def write_lists(root, **lists):
    for name, lines in lists.items():
        path = root / "splits" / ("val.txt" if name == "val" else f"1_2/{name}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))


def pair(number, role="train"):
    return f"{role}/images/{number:02d}.png {role}/labels/{number:02d}.png"


LISTED = {"layout": None, "splits": {"folder": "splits", "fractions": ["1_2"]}}


def test_shipped_names_are_registered_without_their_data(monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", "/nowhere")
    for name in ("whdld_1_24_labeled", "synthetic_aerial_val"):
        assert name in DatasetCatalog.list()
    meta = MetadataCatalog.get("gid15_val")
    assert meta.stuff_classes[:2] == ["industrial_land", "urban_residential"]
    assert meta.stuff_colors[0] == [200, 0, 0] and meta.num_bands == 3
    assert (meta.ignore_label, meta.evaluator_type) == (255, "sem_seg")
    assert [len(concepts) for concepts in meta.concepts] == [6] * 15


def test_splits_cover_the_training_set_once(toy):
    toy(train=7)
    labeled, unlabeled = get_records("toy_1_2_labeled"), get_records("toy_1_2_unlabeled")
    assert (len(labeled), len(unlabeled), len(get_records("toy_val"))) == (3, 4, 2)
    assert names(labeled) | names(unlabeled) == {f"train/images/{n:02d}.png" for n in range(7)}
    assert all("sem_seg_file_name" in record for record in labeled)
    assert all("label" not in str(record) for record in unlabeled)


def test_images_without_a_mask_join_the_unlabelled_pool(toy):
    root = toy(train=6)
    for number in (0, 3):
        (root / f"train/labels/{number:02d}.png").unlink()
    assert len(get_records("toy_1_2_labeled")) == 2
    assert {"train/images/00.png", "train/images/03.png"} < names(get_records("toy_1_2_unlabeled"))


def test_a_folder_without_labels_has_one_unlabelled_name(toy):
    layout = {"images": "{set}/images/{name}.png"}
    toy(labels=False, layout=layout, splits={"train": {"set": ["train"]}})
    assert [name for name in DatasetCatalog.list() if name.startswith("toy")] == ["toy_unlabeled"]
    assert len(get_records("toy_unlabeled")) == 6


def test_windows_are_full_and_do_not_overlap(toy):
    layout = {"images": "{set}/images/{name}.png", "labels": "{set}/labels/{name}.png"}
    toy(val=1, shape=(40, 52), layout={**layout, "window": 16})
    records = get_records("toy_val")
    expected = [(y, x, 16, 16) for y in (0, 16) for x in (0, 16, 32)]
    assert [record["window"] for record in records] == expected
    assert len(names(records)) == 6


def test_lists(toy):
    root = toy(**LISTED)
    write_lists(root, labeled=[pair(0), pair(1)], unlabeled=[pair(2), "train/images/03.png"])
    write_lists(root, val=[pair(0, "val")])
    assert names(get_records("toy_1_2_labeled")) == {"train/images/00.png", "train/images/01.png"}
    assert all("sem_seg_file_name" not in record for record in get_records("toy_1_2_unlabeled"))
    assert len(get_records("toy_val")) == 1


def test_a_root_is_the_folder_itself_or_its_parent(toy, monkeypatch):
    root = toy()
    expected = get_records("toy_val")
    set_root("toy_val", root.parent)
    assert get_records("toy_val") == expected
    set_root("toy", None)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(root.parent))
    assert get_records("toy_val") == expected


def test_a_users_file(tmp_path, clean_catalog, content):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({**content, "name": "mine"}))  # JSON is YAML
    assert register_spec_file(path) == "mine"
    assert MetadataCatalog.get("mine_val").stuff_classes == ["land", "water"]


def test_two_datasets_of_one_name(toy, content):
    root = toy()
    register_dataset(spec_from_dict(content), root)  # the same one again is welcome
    with pytest.raises(ValueError, match="Another dataset is called 'toy'"):
        register_dataset(spec_from_dict({**content, "root": "elsewhere"}))


def test_the_same_spec_with_nan_is_welcome_again(content, clean_catalog):
    content["raster"] = {"nodata": float("nan")}
    content["labels"] = {"encoding": "index", "ignore": [float("nan")]}
    for _ in range(2):
        spec = spec_from_dict(yaml.safe_load(yaml.safe_dump(content)))
        # Before Python 3.13 equal parts may be the same NaN; each spec has its own here.
        register_dataset(replace(spec, raster=replace(spec.raster, nodata=float("nan"))))
    with pytest.raises(ValueError, match="Another dataset is called 'toy'"):
        register_dataset(replace(spec, raster=replace(spec.raster, nodata=0.0)))


def test_unknown_names_get_the_known_ones():
    with pytest.raises(ValueError, match=r"mean 'gid15_1_8_labeled'.*(?s:.*)msl_val"):
        get_records("gid15_1_8_labelled")
    with pytest.raises(ValueError, match="Unknown dataset 'gid15'"):
        get_records("gid15")


def test_missing_root(toy, tmp_path):
    toy()
    set_root("toy", tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"'toy' is missing: .*gone.*DETECTRON2_DATASETS"):
        get_records("toy_1_2_labeled")


def test_missing_files_are_counted_and_named(toy):
    root = toy()
    (root / "val/labels/01.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 4 files of 'toy_val'.*labels.01\.png"):
        get_records("toy_val")


def test_empty_split(toy):
    toy(train=1)
    with pytest.raises(ValueError, match="'toy_1_2_labeled' is empty"):
        get_records("toy_1_2_labeled")


@pytest.mark.parametrize("name", ["toy_1_2_labeled", "toy_1_2_unlabeled", "toy_val"])
def test_overlap(toy, name):
    root = toy(**LISTED)
    shared = {"toy_1_2_labeled": pair(4), "toy_1_2_unlabeled": pair(4), "toy_val": pair(0)}[name]
    write_lists(root, labeled=[pair(0), pair(4)], unlabeled=[pair(1), pair(4)])
    write_lists(root, val=[pair(0, "val"), pair(0)])
    with pytest.raises(ValueError, match=f"'{name}' and 'toy_.*share 1 .*{shared.split()[0]}"):
        get_records(name)


def test_a_sample_listed_twice(toy):
    root = toy(**LISTED)
    write_lists(root, labeled=[pair(0), pair(0)])
    with pytest.raises(ValueError, match=r"lists 1 samples twice.*00\.png"):
        get_records("toy_1_2_labeled")


def test_a_labelled_list_without_labels(toy):
    root = toy(**LISTED)
    write_lists(root, labeled=["train/images/00.png"])
    with pytest.raises(ValueError, match="has no label beside it"):
        get_records("toy_1_2_labeled")


def test_without_a_train_selection_all_but_val_trains(toy):
    toy(splits={"fractions": ["1_2"], "val": {"set": ["val"]}})
    assert len(get_records("toy_1_2_labeled")) + len(get_records("toy_1_2_unlabeled")) == 6
    assert len(get_records("toy_val")) == 2


def test_a_dataset_is_listed_once_until_its_root_is_set_anew(toy, monkeypatch):
    from co2s.data.records import DatasetFiles

    root = toy()
    listed = []
    for role in ("labeled", "unlabeled", "val"):
        real = getattr(DatasetFiles, role)
        monkeypatch.setattr(
            DatasetFiles, role, lambda *a, real=real, role=role: listed.append(role) or real(*a)
        )
    for _ in range(3):
        get_records("toy_val")
        get_records("toy_1_2_labeled")
        DatasetCatalog.get("toy_val")
    assert sorted(listed) == ["labeled", "unlabeled", "val"]
    set_root("toy", root)
    get_records("toy_val")
    assert listed.count("val") == 2
