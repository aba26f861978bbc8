"""Data: from registered names to the batches a model sees.

This is the one place where the keys of a batch are written; data and modelling meet only here.

Training batch: {"labeled": [item, ...], "unlabeled": [item, ...]}. Images are uint8 RGB, S is
INPUT.CROP_SIZE.

- every item: `file_name` str, `image_id` str, `height` and `width` int: the source's size in pixels
- labelled item: `image` (3, S, S) uint8; `sem_seg` (S, S) int64, 255 = ignore, padding included
- unlabelled item:
    `image` (3, S, S) uint8: the weak view w
    `strong` (2, 3, S, S) uint8: the strong views s1 and s2 of the same crop, not yet cut-mixed
    `valid` (S, S) bool: not padding
    `cutmix` (2, S, S) bool: inside the CutMix box of s1 and of s2
    `partner`: `image`, `strong`, `valid` and names of another image, whose box is pasted in
    `seed` int: of the feature dropout in the model

Evaluation batch: [item, ...] with `image` (3, H, W) uint8 of full size, and `sem_seg` (H, W) int64
where the image has a label.

Importing this package registers the datasets of co2s/data/specs.
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
from .io import read_image, read_label
from .labels import read_classes
from .mapper import EvalMapper, LabeledMapper, UnlabeledMapper

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
