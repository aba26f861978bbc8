"""The dataset check on polygons: shares, overlaps, and features that nobody has labelled."""

import numpy as np
import pytest

from co2s.preparation.check import check_before_training, quick_check

from ..geo import write_raster
from ..vectors import pixels, write_vector
from .check_toy import checked

SIDE = 8
PLACES = {
    "labels": {"vector": "labels.gpkg", "column": "class"},
    "layout": {"images": "images/{name}.tif"},
    "splits": {"fractions": ["1_1"], "val": {"name": ["2"]}},
}
NAMES = ["toy_1_1_labeled", "toy_1_1_unlabeled", "toy_val"]

pytestmark = pytest.mark.usefixtures("clean_catalog")


def at(number, *edges):
    return pixels(*edges, origin=(500000 + 100 * number, 2800000))


@pytest.fixture
def root(tmp_path):
    """A function (features more) that writes four images: 0 and 2 land on the left, water on the
    upper quarter of the right; 1 and 3 without labels."""

    def write(*more):
        for number in range(4):
            bands = np.random.default_rng(number).integers(0, 255, (3, SIDE, SIDE), np.uint8)
            origin = (500000 + 100 * number, 2800000)
            write_raster(tmp_path / f"toy/images/{number}.tif", bands, origin=origin)
        features = [(at(n, 0, 0, 8, 4), "land") for n in (0, 2)]
        features += [(at(n, 0, 4, 2, 8), "water") for n in (0, 2)]
        write_vector(tmp_path / "toy/labels.gpkg", [*features, *more])
        return tmp_path / "toy"

    return write


def test_shares_are_those_of_the_polygons(root):
    report, found = checked(root(), **PLACES)
    assert set(found) == {"ignored"}  # where no polygon is
    by_name = {entry.name: entry for entry in report.lists}
    for name in ("toy_1_1_labeled", "toy_val"):
        assert by_name[name].classes.tolist() == [0.8, 0.2]
        assert by_name[name].ignored_share == 0.375
    assert by_name["toy_1_1_unlabeled"].samples == 2
    assert quick_check(NAMES) == []


def test_overlaps_and_empty_classes(root, log):
    more = [(at(0, 0, 2, 3, 4), "water"), (at(1, 0, 0, 2, 2), "")]
    report, found = checked(root(*more), **PLACES)
    message = found["overlapping polygons"].message
    assert "1 pair of polygons of different classes lie over each other on 6 pixels" in message
    assert "features 1 (land) and 5 (water), from row 0, column 2 of 0.tif" in message
    assert found["overlapping polygons"].severity == "warning"
    assert found["empty class"].count == 1 and found["empty class"].severity == "info"
    assert not report.errors
    check_before_training(NAMES)
    warnings = [record.getMessage() for record in log.records if record.levelname == "WARNING"]
    assert len(warnings) == 1 and "on 6 pixels" in warnings[0]


def test_a_value_without_a_class(root):
    write = root((at(0, 5, 5, 7, 7), "sky"))
    with pytest.raises(ValueError, match="feature 5: 'sky'"):
        checked(write, **PLACES)
