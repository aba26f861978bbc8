"""The dataset check on the real data set dubai72, where it lies beside the checkout."""

from pathlib import Path

import pytest

from co2s.data import register_spec_file
from co2s.preparation.check import check_dataset, quick_check
from co2s.preparation.check.lists import list_names

REPOSITORY = Path(__file__).parents[2]
ROOT = REPOSITORY.parent / "shared" / "data" / "dubai72"

pytestmark = [
    pytest.mark.skipif(
        not ROOT.is_dir(), reason="dubai72 is not in shared/data beside the checkout"
    ),
    pytest.mark.usefixtures("clean_catalog"),
]


def test_what_is_found_is_what_is_known_and_nothing_else():
    register_spec_file(REPOSITORY / "datasets" / "dubai72.yaml", ROOT)
    report = check_dataset("dubai72")
    assert {finding.kind: finding.message for finding in report.findings} == {
        "spaces": "144 paths with a space: harmless.",
        "equal names": "72 images in different folders share 9 file names: harmless, samples go "
        "by their path.",
        "sizes": "14 different sizes, sides of 509 to 2149 pixels; 13.6% lie beyond the last full "
        "window of 256.",
        "mixed masks": "Masks are stored in different ways (54 of colours, 18 of palette): "
        "harmless, all are decoded.",
        "ignored": "202 labelled samples with ignored pixels, up to 2.2% of a list; 0 of them with "
        "nothing else.",
    }
    assert {finding.severity for finding in report.findings} == {"info"}
    folders = {Path(path).parts[-3] for f in report.findings[3:4] for path in f.files}
    assert folders <= {"Tile 2", "Tile 4"}
    train = report.lists[0]
    assert (train.name, train.samples, report.statistics_images) == ("dubai72_1_1_labeled", 870, 48)
    assert train.classes == pytest.approx([0.149, 0.506, 0.095, 0.117, 0.134], abs=1e-3)
    assert report.bands["1"]["mean"] == pytest.approx(126.584, abs=1e-3)


def test_the_quick_form_finds_no_fault():
    register_spec_file(REPOSITORY / "datasets" / "dubai72.yaml", ROOT)
    found = quick_check(list_names("dubai72"), samples=4)
    assert {(finding.kind, finding.severity) for finding in found} <= {
        ("sizes", "info"),
        ("mixed masks", "info"),
    }
