"""The catalog: every dataset under the names `<dataset>_<split>_labeled`, `_unlabeled`, `_val`."""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from co2s.d2 import CfgNode, DatasetCatalog, MetadataCatalog
from co2s.structures import IGNORE_LABEL

from .checks import check_disjoint, check_distinct, check_files
from .records import DatasetFiles, Record
from .spec import DatasetSpec
from .spec.reader import load_spec

logger = logging.getLogger(__name__)

SPECS_FOLDER = Path(__file__).parent / "spec" / "builtin"


@dataclass
class _Entry:
    """A registered dataset and, where one was given, its root in place of the usual one.

    `listed`: what was listed of it, by role and split, and `checked`, the names without a fault.
    """

    spec: DatasetSpec
    root: Path | None
    listed: dict[tuple[str, str | None], list[Record]] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)


_ENTRIES: dict[str, _Entry] = {}
_OWNERS: dict[str, str] = {}  # the dataset that each registered name belongs to


def register_builtin_datasets() -> None:
    """Register every YAML file in co2s/data/spec/builtin."""
    for path in sorted(SPECS_FOLDER.glob("*.yaml")):
        register_spec_file(path)


def register_datasets(cfg: CfgNode) -> None:
    """Register the YAML files in DATASETS.SPECS, and let DATASETS.ROOT hold the datasets in use.

    Relative paths are seen from where one is. ValueError for an unknown name.
    """
    data = cfg.DATASETS
    for path in data.SPECS:
        register_spec_file(path)
    for name in (*data.LABELED, *data.UNLABELED, *data.VAL, *data.TEST):
        get_spec(name)
        if data.ROOT:
            set_root(name, data.ROOT)


def register_spec_file(path: str | os.PathLike, root: str | os.PathLike | None = None) -> str:
    """Register the dataset of a YAML file; returns its name.

    Without `root` its `root` is a folder beside the file, where there is one, else the usual
    place. FileNotFoundError where there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"The dataset file {path} is missing, seen from {Path.cwd()}. It is named in "
            "DATASETS.SPECS or on the command line; docs/add_a_dataset.md shows how to write one."
        )
    spec = load_spec(path)
    beside = Path(path).resolve().parent / spec.root
    register_dataset(spec, beside if root is None and beside.is_dir() else root)
    return spec.name


def register_dataset(spec: DatasetSpec, root: str | os.PathLike | None = None) -> None:
    """Register all splits of a dataset; the disk is read when one of them is asked for.

    They are listed once: to register the same spec again, or to set its root, is to list anew.
    ValueError where another spec has its name.
    """
    if spec.name in _ENTRIES:
        known = _ENTRIES[spec.name].spec
        if known != spec and repr(known) != repr(spec):  # NaN is not equal to itself
            raise ValueError(f"Another dataset is called '{spec.name}'. Give this one a new name.")
        set_root(spec.name, root)
        return
    _ENTRIES[spec.name] = _Entry(spec, None if root is None else Path(root))
    for name, load in _loaders(spec).items():
        DatasetCatalog.register(name, load)
        MetadataCatalog.get(name).set(
            stuff_classes=spec.class_names,
            stuff_colors=[list(entry.color) for entry in spec.classes],
            concepts=[list(entry.concepts) for entry in spec.classes],
            ignore_label=IGNORE_LABEL,
            num_bands=spec.num_bands,
            evaluator_type="sem_seg",
        )
        _OWNERS[name] = spec.name


def set_root(name: str, root: str | os.PathLike | None) -> None:
    """Let a dataset live in `root`: its own folder, or the folder that holds it.

    `name` is the dataset's or that of one of its splits; None: back to the usual place.
    """
    dataset = get_spec(name)
    _ENTRIES[dataset.name] = _Entry(dataset, None if root is None else Path(root))


def get_spec(name: str) -> DatasetSpec:
    """The spec behind the name of a dataset or of one of its splits."""
    if name in _ENTRIES:
        return _ENTRIES[name].spec
    dataset = _OWNERS.get(name)
    if dataset is None:
        raise ValueError(_unknown(name))
    return _ENTRIES[dataset].spec


def find_spec(name: str) -> DatasetSpec:
    """The spec of a registered dataset, or the one in a YAML file, which is not registered."""
    return load_spec(name) if name.endswith((".yaml", ".yml")) else get_spec(name)


def get_records(name: str) -> list[Record]:
    """The checked records of a registered name; the same list every time, not to be changed.

    ValueError for an unknown name, with the known ones; for an empty split, a sample listed twice
    or shared with another split. FileNotFoundError for a missing root, list, image or label.
    """
    spec = get_spec(name)
    if name == spec.name:
        raise ValueError(_unknown(name))
    records: list[Record] = DatasetCatalog.get(name)
    if name in _ENTRIES[spec.name].checked:
        return records
    if not records:
        raise ValueError(
            f"The split '{name}' is empty: no sample under {dataset_root(spec.name)} belongs to "
            "it. Check the dataset's spec or split lists, or choose a larger share."
        )
    check_files(name, records)
    check_distinct(name, records)
    for other in _siblings(name):
        with suppress(FileNotFoundError):  # a list that is not there shares nothing
            check_disjoint(name, records, other, DatasetCatalog.get(other))
    _ENTRIES[spec.name].checked.add(name)
    return records


def known_masks(
    names: Sequence[str], classes: Sequence[str] | None = None
) -> dict[tuple[str, str], str]:
    """The masks that lie there for unlabelled images, by (dataset, image_id), to diagnose by.

    Nothing trains on them. A warning where none of these splits has any, and for a dataset that has
    other classes than those of the pseudo-labels, whose masks tell nothing of them.
    """
    found: dict[tuple[str, str], str] = {}
    for name in names:
        spec = get_spec(name)
        if classes is not None and spec.classes and spec.class_names != [*classes]:
            logger.warning(
                "DATASETS.DIAGNOSE: %s has other classes than the labelled images; the precision "
                "of its pseudo-labels stays unknown.",
                name,
            )
            continue
        found |= {(spec.name, image): mask for image, mask in _masks(name, spec).items()}
    if not found:
        logger.warning(
            "DATASETS.DIAGNOSE: no mask lies there for any image of %s; the precision of their "
            "pseudo-labels stays unknown.",
            ", ".join(names),
        )
    return found


def _masks(name: str, spec: DatasetSpec) -> dict[str, str]:
    """The masks that lie there for the images of a registered name, by image_id."""
    rest = name.removesuffix("_unlabeled")
    if rest == name:  # labelled images that take part without their labels
        return {record["image_id"]: record["sem_seg_file_name"] for record in get_records(name)}
    split = rest.removeprefix(spec.name).removeprefix("_") or None
    return DatasetFiles(spec, dataset_root(spec.name)).known_masks(split)


def _loaders(spec: DatasetSpec) -> dict[str, Callable[[], list[Record]]]:
    """Every name the dataset goes by, with the function that lists its records."""
    if spec.is_pool:
        return {f"{spec.name}_unlabeled": partial(_load, spec.name, "unlabeled", None)}
    loaders: dict[str, Callable[[], list[Record]]] = {}
    for split in spec.splits.fractions:
        for role in ("labeled", "unlabeled"):
            loaders[f"{spec.name}_{split}_{role}"] = partial(_load, spec.name, role, split)
    if spec.splits.folder is not None or spec.splits.val is not None:
        loaders[f"{spec.name}_val"] = partial(_load, spec.name, "val", None)
    return loaders


def _load(dataset: str, role: str, split: str | None) -> list[Record]:
    entry, key = _ENTRIES[dataset], (role, split)
    if key not in entry.listed:
        files = DatasetFiles(entry.spec, dataset_root(dataset))
        entry.listed[key] = files.val() if role == "val" else getattr(files, role)(split)
    return entry.listed[key]


def dataset_root(dataset: str) -> Path:
    """The folder of a registered dataset, whether it is there or not."""
    entry = _ENTRIES[dataset]
    return folder_of(entry.spec, entry.root)


def folder_of(spec: DatasetSpec, root: Path | None) -> Path:
    """The folder of a dataset: the usual place, or `root`, which may be the one that holds it."""
    if root is None:
        return Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / spec.root
    inner = root / spec.root
    return inner if inner.is_dir() else root


def _unknown(name: str) -> str:
    groups = [", ".join(_loaders(entry.spec)) for entry in _ENTRIES.values()]
    similar = get_close_matches(name, DatasetCatalog.list(), n=1)
    hint = f" Did you mean '{similar[0]}'?" if similar else ""
    return f"Unknown dataset '{name}'.{hint} Known names are\n  " + "\n  ".join(groups)


def _siblings(name: str) -> list[str]:
    """The names of the splits that must not overlap with this one."""
    spec = get_spec(name)
    val = f"{spec.name}_val"
    if name == val:
        return [other for other in _loaders(spec) if other != val]
    stem = name.removesuffix("unlabeled").removesuffix("labeled")
    pair = [f"{stem}labeled", f"{stem}unlabeled", val]
    return [other for other in pair if other != name and other in DatasetCatalog.list()]
