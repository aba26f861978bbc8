"""Checks of a split before anything is trained on it: its files and its samples."""

import os
from collections import Counter

from .records import Record


def check_files(name: str, records: list[Record]) -> None:
    """FileNotFoundError names the images and labels that are not there."""
    keys = ("file_name", "sem_seg_file_name")
    paths = {record[key] for record in records for key in keys if key in record}
    missing = sorted(path for path in paths if not os.path.isfile(path))
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} files of '{name}' are missing, the first: "
            + ", ".join(missing[:3])
        )


def check_distinct(name: str, records: list[Record]) -> None:
    """ValueError where a sample is listed twice."""
    counts = Counter(record["image_id"] for record in records)
    twice = [image_id for image_id, count in counts.items() if count > 1]
    if twice:
        raise ValueError(f"'{name}' lists {len(twice)} samples twice, the first: {twice[0]}.")


def check_disjoint(name: str, records: list[Record], other: str, others: list[Record]) -> None:
    """ValueError where two splits share a sample."""
    ids = {record["image_id"] for record in records}
    shared = sorted(ids & {record["image_id"] for record in others})
    if shared:
        raise ValueError(
            f"'{name}' and '{other}' share {len(shared)} samples, the first: {shared[0]}. "
            "Labelled, unlabelled and validation samples must be different images."
        )
