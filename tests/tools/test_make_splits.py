"""tools/make_splits.py: what it writes, prints, keeps and refuses."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from co2s.d2 import DatasetCatalog, MetadataCatalog
from co2s.data import catalog, get_records, register_spec_file, set_root
from co2s.data.splits import read_list

TOOL = Path(__file__).parents[2] / "tools" / "make_splits.py"
CLASSES = ("land", "water", "rare")
RATIOS = ("--ratios", "1/8", "1/4", "1/2")
SCENE = ("--scene", "{scene}_{tile}.png")


@pytest.fixture
def tool(tmp_path, load_script):
    """A function (*arguments) that runs the tool on root/, with every image below images/."""
    module = load_script(TOOL)

    def run(*arguments, images="images/*.png"):
        options = ["--root", tmp_path / "root", *(["--images", images] if images else [])]
        module.main([str(option) for option in [*options, *arguments]])
        return tmp_path / "root" / "splits"

    return run


@pytest.fixture
def root(tmp_path):
    """80 tiles of 10 scenes; every mask has class 0, some 1, and four tiles a little of class 2."""
    for number in range(80):
        mask = np.zeros((8, 8), np.uint8)
        mask[: number % 3] = 1
        mask[7, 7] = 2 if number in (13, 14, 55, 70) else 0
        write_pair(tmp_path / "root", f"s{number // 8}_{number % 8}.png", mask)
    return tmp_path / "root"


def write_pair(root, name, mask, labels="labels"):
    for folder, array in (("images", np.full((*mask.shape, 3), 9, np.uint8)), (labels, mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(root / folder / name)


def write_spec(path, **changes):
    classes = [
        {"name": name, "color": [90 * number, 0, 1], "concepts": [name]}
        for number, name in enumerate(CLASSES)
    ]
    content = {"name": "splits_toy", "root": "root", "classes": classes}
    content |= {"labels": {"encoding": "index"}}
    content |= {"splits": {"folder": "splits", "fractions": ["1_8", "1_4"]}, **changes}
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """A function (YAML file) that registers a dataset for the length of the test."""
    before = set(DatasetCatalog.list())
    monkeypatch.setattr(catalog, "_ENTRIES", dict(catalog._ENTRIES))
    monkeypatch.setattr(catalog, "_OWNERS", dict(catalog._OWNERS))
    yield register_spec_file
    for name in set(DatasetCatalog.list()) - before:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def images(path):
    return {image for image, _ in read_list(path)}


def scenes(names):
    return {Path(name).stem.split("_")[0] for name in names}


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.txt")}


def shown(root, path):
    """The classes in the masks of a list."""
    found = set()
    for _, label in read_list(path):
        found |= set(np.unique(np.asarray(Image.open(root / label))).tolist())
    return found


def test_nested_counts_of_the_rest_and_disjoint(root, tool):
    out = tool("--val", "0.1", *RATIOS)
    val = images(out / "val.txt")
    assert len(val) == 8
    labelled = [images(out / split / "labeled.txt") for split in ("1_8", "1_4", "1_2")]
    assert [len(names) for names in labelled] == [9, 18, 36]  # floor(72 / 8), ...
    for smaller, larger in pairwise(labelled):
        assert smaller < larger
    everything = {f"images/s{n // 8}_{n % 8}.png" for n in range(80)}
    for names, split in zip(labelled, ("1_8", "1_4", "1_2"), strict=True):
        unlabelled = images(out / split / "unlabeled.txt")
        assert val | names | unlabelled == everything
        assert len(val) + len(names) + len(unlabelled) == 80
    line = (out / "val.txt").read_text().splitlines()[0]
    assert line == f"{min(val)} {min(val).replace('images', 'labels')}"


def test_scenes_never_straddle_train_and_val(root, tool, capsys):
    for seed in range(4):
        out = tool("--val", "0.2", *RATIOS, *SCENE, "--seed", seed, "--overwrite")
        val = images(out / "val.txt")
        train = images(out / "1_4/labeled.txt") | images(out / "1_4/unlabeled.txt")
        assert len(val) == 16 and not scenes(val) & scenes(train)
        assert scenes(images(out / "1_2/labeled.txt")) & scenes(images(out / "1_2/unlabeled.txt"))
    entry = json.loads((out / "summary.json").read_text())["lists"]["val.txt"]
    assert (entry["samples"], entry["groups"]) == (16, 2)
    assert "groups" in capsys.readouterr().out


def test_groups_may_part_labelled_from_unlabelled_too(root, tool):
    out = tool("--val", "0.2", *RATIOS, *SCENE, "--group", "all")
    for split in ("1_8", "1_4", "1_2"):
        labelled, rest = (images(out / split / f"{r}.txt") for r in ("labeled", "unlabeled"))
        assert not scenes(labelled) & scenes(rest) and len(labelled) % 8 == 0


def test_every_class_is_labelled_in_every_list(root, tool):
    for seed in range(6):
        out = tool("--val", "8", "--ratios", "1/32", "1/8", "--seed", seed, "--overwrite")
        for split in ("1_32", "1_8"):  # 1/32 labels two tiles
            assert shown(root, out / split / "labeled.txt") == {0, 1, 2}
    blind = []
    for seed in range(6):
        out = tool("--val", "8", "--ratios", "1/32", "--seed", seed, "--overwrite", "--no-stratify")
        blind.append(shown(root, out / "1_32/labeled.txt"))
    assert blind.count({0, 1, 2}) <= 2  # so the test above says something


def test_a_class_that_cannot_be_covered_is_named_with_the_reason(tmp_path, tool, capsys):
    root = tmp_path / "root"
    for number in range(20):
        write_pair(root, f"{number:02d}.png", np.full((4, 4), number % 2, np.uint8))
    spec = write_spec(tmp_path / "toy.yaml")
    out = tool("--dataset", spec, "--val", "4", "--ratios", "1/16", images=None)
    text = capsys.readouterr().out
    remarks = json.loads((out / "summary.json").read_text())["remarks"]
    assert "train: no pixel of rare, no mask has it: no list can show it." in remarks
    found = [remark for remark in remarks if remark.startswith("1_16: 1 labelled samples show all")]
    assert found and "more samples are needed to cover every class" in found[0]
    assert all(f"- {remark}" in text for remark in remarks)


def test_the_same_on_every_run_and_another_seed_differs(root, tool, capsys):
    out = tool("--val", "0.1", *RATIOS, *SCENE)
    first = contents(out)
    stamp = (out / "val.txt").stat().st_mtime_ns
    tool("--val", "0.1", *RATIOS, *SCENE)
    assert "Nothing to do" in capsys.readouterr().out
    assert (out / "val.txt").stat().st_mtime_ns == stamp
    other = root / "other"
    tool("--val", "0.1", *RATIOS, *SCENE, "--output", other, "--seed", 1)
    assert contents(other)[Path("1_8/labeled.txt")] != first[Path("1_8/labeled.txt")]
    tool("--val", "0.1", "--ratios", "1/8", "1/40", *SCENE, "--output", root / "more")
    same = contents(root / "more")
    assert same[Path("1_8/labeled.txt")] == first[Path("1_8/labeled.txt")]  # whatever else is asked


def test_lists_that_are_there_are_kept(root, tool, stops):
    out = tool("--val", "0.1", *RATIOS)
    before = contents(out)
    with stops(r"holds other lists already.*--overwrite"):
        tool("--val", "0.1", *RATIOS, "--seed", "1")
    assert contents(out) == before
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []


def test_a_given_val_is_kept_byte_for_byte(root, tool):
    (root / "splits").mkdir()
    text = "images/s3_1.png  labels/s3_1.png\r\nimages/s0_5.png labels/s0_5.png\n"
    (root / "splits" / "val.txt").write_bytes(text.encode())
    out = tool("--val", root / "splits" / "val.txt", "--ratios", "1/2")
    assert (out / "val.txt").read_bytes() == text.encode()
    train = images(out / "1_2/labeled.txt") | images(out / "1_2/unlabeled.txt")
    assert len(train) == 78 and not train & {"images/s3_1.png", "images/s0_5.png"}


def test_a_given_val_that_cannot_be(root, tool, stops):
    path = root / "val.txt"
    for text, words in (
        ("images/s3_1.png\n", r"images/s3_1\.png has no label beside it"),
        ("images/gone.png labels/gone.png\n", r"lists images/gone\.png, which is not under"),
    ):
        path.write_text(text)
        with stops(words):
            tool("--val", path, *RATIOS)
    path.write_text("images/s3_1.png labels/s3_1.png\n")
    with stops("'s3' has 7 training and 1 validation samples"):
        tool("--val", path, *RATIOS, *SCENE)
    with stops(r"split list .*gone\.txt is missing"):
        tool("--val", root / "gone.txt", *RATIOS)


def test_lists_load_through_the_catalog(root, tool, tmp_path, registered, capsys):
    spec = write_spec(tmp_path / "toy.yaml")
    tool("--dataset", spec, "--val", "0.1", *SCENE, images=None)  # ratios: those of the dataset
    assert "DATASETS.LABELED '(\"splits_toy_1_8_labeled\",)'" in capsys.readouterr().out
    registered(spec)
    set_root("splits_toy", tmp_path)
    labelled, val = get_records("splits_toy_1_8_labeled"), get_records("splits_toy_val")
    assert (len(labelled), len(val)) == (9, 8)
    assert len(get_records("splits_toy_1_8_unlabeled")) == 72 - 9
    assert "sem_seg_file_name" in val[0]


def test_names_with_spaces(root, tool, tmp_path, registered):
    for folder in ("images", "labels"):
        (root / f"my {folder}").mkdir()
        for path in sorted((root / folder).glob("s[0-3]_*.png")):
            path.rename(root / f"my {folder}" / path.name)
    (root / "my images" / "no mask.png").write_bytes((root / "my images/s0_0.png").read_bytes())
    spec = write_spec(tmp_path / "toy.yaml")
    options = ("--images", "my images/*.png", "--labels", "my labels/*.png")
    out = tool("--dataset", spec, *options, "--val", "0.25", images=None)
    assert "\t" in (out / "val.txt").read_text()
    registered(spec)
    assert len(get_records("splits_toy_1_4_unlabeled")) == 24 - 6 + 1
    assert "my images/no mask.png\t\n" in (out / "1_4/unlabeled.txt").read_text()


def test_the_layout_and_the_selection_of_a_dataset_file(root, tool, tmp_path):
    (root / "more").mkdir()
    (root / "images" / "s1_0.png").rename(root / "more" / "x.png")
    layout = {"images": "images/{scene}_{tile}.png", "labels": "labels/{scene}_{tile}.png"}
    layout |= {"unlabeled": ["more/{name}.png"], "window": 4}
    splits = {"fractions": ["1_2"], "val": {"scene": ["s0"]}, "train": {"scene": ["s1", "s2"]}}
    spec = write_spec(tmp_path / "toy.yaml", layout=layout, splits=splits)
    out = tool("--dataset", spec, images=None)
    assert images(out / "val.txt") == {f"images/s0_{n}.png" for n in range(8)}
    assert len(images(out / "1_2/labeled.txt")) == 7  # floor(15 / 2)
    assert "more/x.png" in images(out / "1_2/unlabeled.txt")
    remarks = json.loads((out / "summary.json").read_text())["remarks"]
    assert "Lists name whole images" in remarks[-1]


def test_georeferenced_tiles_in_blocks(tmp_path, tool):
    rasterio = pytest.importorskip("rasterio", reason="blocks need the extra geo")
    from rasterio.transform import from_origin

    root = tmp_path / "root"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(64):  # 80 m wide, 60 m apart: neighbours share 20 m
        y, x = divmod(number, 8)
        place = from_origin(60 * x, 60 * y, 10, 10)
        options = {"width": 8, "height": 8, "dtype": "uint8", "crs": "EPSG:32633"}
        options |= {"transform": place, "driver": "GTiff"}
        with rasterio.open(root / "images" / f"{number}.tif", "w", count=3, **options) as target:
            target.write(np.full((3, 8, 8), 9, np.uint8))
        with rasterio.open(root / "labels" / f"{number}.tif", "w", count=1, **options) as target:
            target.write(np.full((1, 8, 8), number % 2, np.uint8))
    spec = write_spec(tmp_path / "toy.yaml")
    options = ("--dataset", spec, "--val", "0.25", "--ratios", "1/4", "--blocks", "240")
    out = tool(*options, images="images/*.tif")
    val = images(out / "val.txt")
    train = images(out / "1_4/labeled.txt") | images(out / "1_4/unlabeled.txt")
    assert val and train and len(val | train) < 64

    def place_of(name):
        y, x = divmod(int(Path(name).stem), 8)
        return np.array([y, x])

    nearest = min(np.abs(place_of(a) - place_of(b)).max() for a in val for b in train)
    assert nearest == 2  # next to a validation tile lies ground that it shows, too
    summary = json.loads((out / "summary.json").read_text())
    assert summary["groups"] == "blocks of 240"
    left_out = 64 - len(val | train)
    assert f"{left_out} tiles are left out: they overlap validation tiles." in summary["remarks"]


def test_the_authors_lists_are_judged_as_they_are(root, tool, capsys):
    out = root / "splits"
    mask = np.zeros((8, 8), np.uint8)
    mask[0] = 255  # ignored, so no class
    write_pair(root, "s0_0.png", mask)
    (out / "1_8").mkdir(parents=True)
    (out / "val.txt").write_text("images/s0_0.png labels/s0_0.png\n")
    (out / "1_8" / "labeled.txt").write_text("images/s1_1.png labels/s1_1.png\n")
    (out / "1_8" / "unlabeled.txt").write_text("images/s2_1.png labels/missing.png\n")
    before = contents(out)
    with pytest.raises(SystemExit) as stopped:
        tool("--summary-only", *SCENE)
    assert stopped.value.code == 0
    assert contents(out) == before and not (out / "summary.json").exists()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["val", "1_8/labeled", "1_8/unlabeled"] in rows
    assert ["samples", "1", "1", "1"] in rows and ["groups", "1", "1", "1"] in rows
    assert ["0", "%", "100.00", "100.00", "-"] in rows
    (out / "val.txt").write_text("images/s1_1.png labels/s1_1.png\n")
    with pytest.raises(SystemExit) as stopped:
        tool("--summary-only", "--no-stratify")
    assert stopped.value.code == 1
    assert "val.txt and 1_8/labeled.txt share 1 samples" in capsys.readouterr().out


def test_colour_masks_need_a_dataset_file(root, tool, tmp_path, stops):
    for number in range(80):
        path = root / "labels" / f"s{number // 8}_{number % 8}.png"
        numbers = np.asarray(Image.open(path)).astype(int)
        Image.fromarray(
            np.stack([90 * numbers, 0 * numbers, 0 * numbers + 1], -1).astype("u1")
        ).save(path)
    with stops(r"s0_0\.png holds RGB colours.*Without --dataset masks"):
        tool("--val", "0.1", *RATIOS)
    spec = write_spec(tmp_path / "toy.yaml", labels={"encoding": "color"})
    out = tool("--dataset", spec, "--val", "0.1", *RATIOS)
    shares = json.loads((out / "summary.json").read_text())["lists"]["1_8/labeled.txt"]
    assert list(shares["class_pixels"]) == list(CLASSES) and shares["class_pixels"]["rare"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--val", "0.1"], "which shares to label: --ratios 1/8"),
        (["--ratios", "1/8"], "which samples validate: --val 0.1"),
        (["--val", "1.5", "--ratios", "1/8"], "a share between 0 and 1"),
        (["--val", "80", "--ratios", "1/8"], "asks for 80 of 80 labelled images"),
        (["--val", "0.1", "--ratios", "0.5"], 'split name "0.5" is no fraction'),
        (["--val", "0.1", "--ratios", "1/100"], "1_100 of 72 training samples is none"),
        (["--val", "0.1", *RATIOS, "--group", "all"], "--group all needs groups"),
        (
            ["--val", "0.1", *RATIOS, "--scene", "x{scene}.png"],
            "80 of 80 images do not fit --scene",
        ),
        (["--val", "0.1", *RATIOS, "--scene", "s{a}.png"], r"must name the part \{scene\}"),
        (
            ["--val", "0.1", *RATIOS, "--scene", "{scene}/{n}.png"],
            "All 80 .* are one group, 'images'",
        ),
        (
            ["--val", "0.1", *RATIOS, "--labels", "masks/*.png"],
            "None of the 80 images .* has a mask",
        ),
        (["--val", "0.1", *RATIOS, "--images", "pictures/*"], "where the masks of .*: --labels"),
        (["--summary-only"], "holds no split lists"),
        (["--dataset", "nothing"], "Unknown dataset 'nothing'"),
        (["--dataset", "gone.yaml"], r"gone\.yaml"),
    ],
)
def test_bad_wishes(root, tool, arguments, words, stops):
    with stops(words):
        tool(*arguments)
    assert not (root / "splits").exists()


def test_without_a_place_or_samples(tool, tmp_path, stops):
    with stops(r"folder of the dataset is missing: .*root"):
        tool("--val", "0.1", *RATIOS)
    (tmp_path / "root").mkdir()
    with stops("Say which samples there are: --images"):
        tool("--val", "0.1", *RATIOS, images=None)
    labels = {"images": "images/{name}.png"}
    spec = write_spec(tmp_path / "toy.yaml", layout=labels, splits={})
    with stops(r"'splits_toy' has no masks \(layout\.labels\)"):
        tool("--dataset", spec, "--val", "0.1", *RATIOS, images=None)


def test_a_damaged_mask_is_named_and_nothing_written(root, tool, stops):
    (root / "labels" / "s4_4.png").write_bytes(b"no mask")
    with stops(r"labels.s4_4\.png cannot be read as a mask"):
        tool("--val", "0.1", *RATIOS)
    assert not (root / "splits").exists()
