"""S4: a backbone that learns from labels of one dataset and many images of any other.

The semi-supervised pre-training of S5 (AAAI 2026, docs/pretraining.md).
"""

from co2s.d2 import META_ARCH_REGISTRY

from .fixmatch import FixMatch


@META_ARCH_REGISTRY.register()
class S4(FixMatch):
    """FixMatch without a teacher, for its backbones: L = (CE(x, y) + CE(strong, sure labels)) / 2.

    A student labels for itself; no layer of it does otherwise in training, so that its labels are
    those of evaluation. Decoder and classes are those of the labelled dataset, and serve to train
    the backbone: a segmentation of other classes starts from its file.
    """

    pretrains = True
