"""The weak and the strong view that a configuration describes."""

from co2s.d2 import CfgNode

from .strong import StrongView
from .weak import WeakView


def weak_view(cfg: CfgNode) -> WeakView:
    """The weak view that cfg.INPUT describes."""
    return WeakView(
        size=cfg.INPUT.CROP_SIZE,
        resize=cfg.INPUT.RESIZE,
        base_size=tuple(cfg.INPUT.BASE_SIZE),
        ratio_range=tuple(cfg.INPUT.RATIO_RANGE),
        flip=cfg.INPUT.FLIP,
        rotate90=cfg.INPUT.ROTATE90,
    )


def strong_view(cfg: CfgNode) -> StrongView:
    """The strong view that cfg.INPUT.STRONG describes."""
    node = cfg.INPUT.STRONG
    return StrongView(
        jitter_prob=node.JITTER_PROB,
        brightness=node.BRIGHTNESS,
        contrast=node.CONTRAST,
        saturation=node.SATURATION,
        hue=node.HUE,
        gray_prob=node.GRAY_PROB,
        blur_prob=node.BLUR_PROB,
        blur_sigma=tuple(node.BLUR_SIGMA),
    )
