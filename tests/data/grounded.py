"""Boxes on disk for the toy datasets of the tests."""

from co2s.data import get_records, get_spec
from co2s.data.grounding import Box, Grounding, grounding_path
from co2s.data.reading.io import image_size
from co2s.files import file_digest, write_json


def stored(folder, name, boxes_of, **changes):
    """Store boxes_of(record) for every record of a split; changes: of what is stored of each."""
    for record in get_records(name):
        store(folder, record, boxes_of(record), **changes)
    return folder


def store(folder, record, boxes, **changes):
    """Store the boxes of a record; returns the file."""
    spec = get_spec(record["dataset"])
    content = {
        "dataset": record["dataset"],
        "image_id": record["image_id"],
        "sha256": file_digest(record["file_name"]),
        "size": image_size(record["file_name"], spec.raster),
        "window": record.get("window"),
        "source": {"model": "a hand"},
        "classes": tuple(spec.class_names),
        **changes,
    }
    path = grounding_path(folder, record["dataset"], record["image_id"])
    found = Grounding(boxes=tuple(boxes), **content)
    write_json(path, found.to_dict())
    return path


def box(label, *corners, score=1.0, mask=None):
    return Box(label, tuple(map(float, corners)), score, mask)
