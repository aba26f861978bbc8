"""Data: from registered names to the batches a model sees.

This is the one place where the keys of a batch are written; data and modelling meet only here.

Training batch: {"labeled": [item, ...], "unlabeled": [item, ...]}. Images are uint8, S is
INPUT.CROP_SIZE, C the bands of the dataset: 3 for RGB.

- every item: `file_name` str, `image_id` str, `height` and `width` int: the source's size in pixels
- labelled item: `image` (C, S, S) uint8; `sem_seg` (S, S) uint8, 255 = ignore, padding
    and whatever the image has no data for included
- unlabelled item:
    `image` (C, S, S) uint8: the weak view w
    `strong` (2, C, S, S) uint8: the strong views s1 and s2 of the same crop, not yet cut-mixed
    `valid` (S, S) bool: neither padding nor without data
    `cutmix` (2, S, S) bool: inside the CutMix box of s1 and of s2
    `partner`: `image`, `strong`, `valid` and names of another image, whose box is pasted in; a
    strong view whose box is empty is the plain one
    `seed` int: of the feature dropout in the model

Evaluation batch: [item, ...] with `image` (C, H, W) uint8 of full size, `sem_seg` (H, W) int64
where the image has a label, and `valid` (H, W) bool where there are pixels without data.

Importing this package registers the datasets of co2s/data/spec/builtin.
"""

from .build import (
    PairedStreams,
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
    register_spec_file,
    register_specs,
    set_root,
)
from .mapper import EvalMapper, LabeledMapper, UnlabeledMapper
from .reading.io import read_image, read_label
from .reading.labels import read_classes

register_builtin_datasets()

__all__ = [
    "EvalMapper",
    "LabeledMapper",
    "PairedStreams",
    "UnlabeledMapper",
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
    "register_spec_file",
    "register_specs",
    "set_root",
]
