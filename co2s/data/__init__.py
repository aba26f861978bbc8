"""Data: from registered names to the batches a model sees.

Data and modelling meet only in the batch; `co2s.structures.items` says what is in it.

Importing this package registers the datasets of co2s/data/spec/builtin.
"""

from .build import (
    PairedStreams,
    build_labeled_images,
    build_labeled_loader,
    build_test_loader,
    build_train_loader,
    build_unlabeled_loader,
    iterations_per_epoch,
)
from .catalog import (
    get_records,
    get_spec,
    register_builtin_datasets,
    register_dataset,
    register_datasets,
    register_spec_file,
    set_root,
)
from .failures import BadFiles
from .mapper import EvalMapper, LabeledMapper, UnlabeledMapper
from .reading.io import read_image, read_label
from .reading.labels import read_classes

register_builtin_datasets()

__all__ = [
    "BadFiles",
    "EvalMapper",
    "LabeledMapper",
    "PairedStreams",
    "UnlabeledMapper",
    "build_labeled_images",
    "build_labeled_loader",
    "build_test_loader",
    "build_train_loader",
    "build_unlabeled_loader",
    "get_records",
    "get_spec",
    "iterations_per_epoch",
    "read_classes",
    "read_image",
    "read_label",
    "register_dataset",
    "register_datasets",
    "register_spec_file",
    "set_root",
]
