"""The registry of purifiers."""

from typing import Any, Protocol

from torch import Tensor

from co2s.d2 import CfgNode, Registry
from co2s.structures import PseudoLabel

PURIFIER_REGISTRY = Registry("PURIFIER")
PURIFIER_REGISTRY.__doc__ = """
Classes built from a configuration, `from_config(cfg)` giving the keywords, and called with the
labels of views and their grounding, as `Purifier` says.
"""


class Purifier(Protocol):
    """Changes pseudo-labels before any loss reads them; no gradient, nothing to train."""

    def __call__(self, labels: PseudoLabel, scores: Tensor | None) -> PseudoLabel:
        """Better labels of the same pixels.

        scores: (B, N, H, W) uint8, "grounding" of the items (`co2s.structures.items`); None where
        they have none.
        """


def build_purifier(cfg: CfgNode) -> Purifier | None:
    """The one that MODEL.PURIFIER.NAME names; None where labels stay as they are.

    ValueError for an unknown one.
    """
    name = cfg.MODEL.PURIFIER.NAME
    if not name:
        return None
    known: dict[str, Any] = dict(PURIFIER_REGISTRY)
    if name not in known:
        raise ValueError(
            f"MODEL.PURIFIER.NAME is {name!r}; known are {', '.join(sorted(known))}, and '' for "
            "none."
        )
    return known[name](cfg)
