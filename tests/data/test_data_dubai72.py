"""The real data set dubai72, where it lies beside the checkout."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from co2s.data import get_records, get_spec, read_classes, register_spec_file, set_root
from co2s.data.reading.samples import load_classes, load_image

ROOT = Path(__file__).parents[3] / "shared" / "data" / "dubai72"

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="dubai72 is not in shared/data beside the checkout"
)


@pytest.fixture(autouse=True)
def shared_root():
    register_spec_file(Path(__file__).parents[2] / "datasets" / "dubai72.yaml", ROOT)
    yield
    set_root("dubai72", None)


def tiles(records):
    return Counter(Path(record["image_id"]).parts[0] for record in records)


def test_windows_of_the_protocol():
    train, val = get_records("dubai72_1_1_labeled"), get_records("dubai72_val")
    assert (len(train), len(val)) == (870, 435)
    assert {record["window"][2:] for record in train + val} == {(256, 256)}
    assert {Path(record["file_name"]).stem[-3:] for record in val} == {"003", "006", "009"}


def test_labelled_windows_are_nested_and_spread_over_the_tiles():
    chosen = {split: get_records(f"dubai72_{split}_labeled") for split in ("1_32", "1_16", "1_8")}
    assert [len(records) for records in chosen.values()] == [27, 54, 108]
    ids = [{record["image_id"] for record in records} for records in chosen.values()]
    assert ids[0] < ids[1] < ids[2]
    assert set(tiles(chosen["1_32"]).values()) <= {3, 4}
    assert len(tiles(chosen["1_32"])) == 8
    assert len(get_records("dubai72_1_8_unlabeled")) == 870 - 108


def test_palette_and_rgb_masks_decode_to_the_known_shares():
    spec = get_spec("dubai72")
    counts = np.zeros(256)
    for tile in range(1, 9):  # the masks of Tile 2 and 4 are palette PNGs
        path = ROOT / f"Tile {tile}" / "masks" / "image_part_003.png"
        classes = read_classes(str(path), spec)
        assert (classes < 5).mean() > 0.5
        counts += np.bincount(classes.ravel(), minlength=256)
    assert set(np.flatnonzero(counts)) == {0, 1, 2, 3, 4, 255}
    # building, land, road, vegetation, water of the whole set; this ninth of it is close
    assert np.abs(counts[:5] / counts.sum() - [0.13, 0.52, 0.09, 0.10, 0.14]).max() < 0.06


def test_a_window_of_image_and_mask():
    record = get_records("dubai72_val")[0]
    image = load_image(record)
    assert image.bands.shape == (256, 256, 3)
    assert load_classes(record, get_spec("dubai72"), image).shape == (256, 256)
