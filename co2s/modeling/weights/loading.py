"""From what a file holds to a module: unwrapping, and loading that misses nothing."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .files import WeightsError

logger = logging.getLogger(__name__)

WRAPPERS = ("teacher", "model", "state_dict", "module", "student")  # the first one that is there
LISTED = 8  # names in an error message


def unwrap(content: Mapping[str, Any], prefixes: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors of a file by name: out of its wrappers, and without prefixes of names.

    A prefix is taken off where names have it; names that don't are left as they are.
    """
    for wrapper in WRAPPERS * 2:
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    for prefix in prefixes:
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy the tensors into the module, in the module's precision; all of them, or none.

    WeightsError where a name or a shape differs; it lists them. `source` says whose they are.
    """
    own = module.state_dict()
    missing = [f"{name} {tuple(own[name].shape)}" for name in own if name not in tensors]
    unexpected = [f"{n} {tuple(tensors[n].shape)}" for n in tensors if n not in own]
    shapes = [
        f"{name} {tuple(tensors[name].shape)}, the model's is {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    groups = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    found = [f"  {len(g)} {title}: {_listed(g)}" for title, g in groups.items() if g]
    if found:
        raise WeightsError(
            f"The weights of {source} do not fit the model: they belong to another architecture "
            "(BACKBONE.MODEL), or are in a format that is not known.\n" + "\n".join(found)
        )
    with torch.no_grad():
        module.load_state_dict(dict(tensors), strict=True)
    count = sum(tensor.numel() for tensor in tensors.values())
    logger.info("Loaded %d tensors (%.1f M values) from %s", len(tensors), count / 1e6, source)


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
