"""Items and batches: the one thing that data and modelling share.

Images are uint8, C the bands of the dataset (3 for RGB), S the training crop (INPUT.CROP_SIZE),
V the strong views that the method asks for.
"""

from torch import Tensor
from typing_extensions import NotRequired, TypedDict

IGNORE_LABEL = 255  # of a pixel without a class: in masks, losses, metrics and pictures


class Source(TypedDict):
    """What every item says of the image that it comes from; sizes in pixels, before any scaling."""

    file_name: str
    image_id: str
    height: int
    width: int


class LabeledItem(Source):
    """A weak view and its classes.

    Padding, and whatever the image has no data for, has the class IGNORE_LABEL.
    """

    image: Tensor  # (C, S, S) uint8
    sem_seg: Tensor  # (S, S) uint8


class UnlabeledItem(Source):
    """A weak view and, as the method asks for them, strong views of the same crop and a partner."""

    image: Tensor  # (C, S, S) uint8: the weak view
    valid: Tensor  # (S, S) bool: neither padding nor without data
    seed: int  # of what the method draws for this item
    strong: NotRequired[Tensor]  # (V, C, S, S) uint8, not yet cut-mixed
    cutmix: NotRequired[Tensor]  # (V, S, S) bool: inside the CutMix box of each strong view
    # Another draw, where the method wants one; where its box is empty, its strong view is the
    # plain one.
    partner: NotRequired["UnlabeledItem"]
    # (S, S) uint8 with DATASETS.DIAGNOSE: classes that are known and that no loss reads, else 255.
    diagnosis: NotRequired[Tensor]
    # (N, S, S) uint8 with MODEL.PURIFIER.BOXES: the score of 255 that stored boxes of each class
    # have at a pixel; 0: the class does not claim it.
    grounding: NotRequired[Tensor]


class EvalItem(Source):
    """A whole image."""

    image: Tensor  # (C, H, W) uint8
    sem_seg: NotRequired[Tensor]  # (H, W) int64, where there is a label
    valid: NotRequired[Tensor]  # (H, W) bool, where there are pixels without data


class Batch(TypedDict):
    """Items of one process that pass the model together: a training step's, or a part of them."""

    labeled: list[LabeledItem]
    unlabeled: list[UnlabeledItem]
    # What the losses are means over, where this is one of several batches of a step.
    counts: NotRequired[dict[str, Tensor]]
