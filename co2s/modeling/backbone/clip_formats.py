"""CLIP's weights: open_clip's tags, OpenAI's archives, state dicts, in open_clip's names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import Module

from co2s.optional import LateModule

from ..weights import (
    WeightsError,
    is_path,
    load_strictly,
    local_file,
    read_metadata,
    read_tensors,
    unwrap,
)
from ..weights.embedded import embedded_file, embedded_names
from ..weights.hub import fetch
from ..weights.torchscript import is_torchscript
from .extra_bands import joined, split
from .features import with_unused

open_clip = LateModule("open_clip")

KEY = "MODEL.<GLOBAL or LOCAL>.BACKBONE.WEIGHTS"
HUB_FILES = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
ADVICE = (
    "These are the CLIP weights {weights!r} of {model}. Get that file where there is a network and "
    f"give its path as {KEY}: OpenAI's .pt, and open_clip's .safetensors and .bin load as they are."
)
# Of the text tower and of CLIP's loss; a visual backbone has no use for them.
TEXT = (
    "token_embedding.",
    "positional_embedding",
    "transformer.",
    "ln_final.",
    "text_projection",
    "text.",
    "logit_scale",
    "logit_bias",
)
PATCHES = "conv1"  # the patch embedding
# Constants that OpenAI's archives carry beside the weights.
CONSTANTS = ("input_resolution", "context_length", "vocab_size")


def find_clip_file(model: str, weights: str) -> Path:
    """The local file of CLIP weights: a path as it is, an open_clip tag once it is downloaded.

    FileNotFoundError for a path without a file, ValueError for an unknown tag, WeightsError where
    the tag's file cannot be had.
    """
    path = embedded_file(weights, "CLIPViT") or local_file(weights)
    if path is not None:
        return path
    published = _published(model, weights)
    advice = ADVICE.format(weights=weights, model=model)
    repository, _, name = published.get("hf_hub", "").rpartition("/")
    if repository:
        return fetch(repository, [name] if name else HUB_FILES, advice)
    try:  # a few old tags are on a web server only
        return Path(open_clip.pretrained.download_pretrained_from_url(published["url"]))
    except OSError as error:
        raise WeightsError(f"Cannot get {published['url']}: {error}. {advice}") from error


def quick_gelu(model: str, weights: str) -> bool:
    """Whether the weights were trained with QuickGELU: the tag says so, else the model's name.

    OpenAI's scripted archives always were, and what pretraining has exported says it itself.
    """
    weights = str(embedded_file(weights, "CLIPViT") or weights)
    told = read_metadata(weights).get("activation", "")
    if told:
        return told == "quick_gelu"
    named = bool((open_clip.get_model_config(model) or {}).get("quick_gelu", False))
    if not weights or (named and is_path(weights)):
        return named
    path = local_file(weights)
    if path is not None:
        return path.suffix != ".safetensors" and is_torchscript(path)
    # open_clip says so from 2.27 on; OpenAI's own weights always were.
    return bool(_published(model, weights).get("quick_gelu", named or weights == "openai"))


def clip_tensors(path: Path, sha256: str = "") -> dict[str, Tensor]:
    """All tensors of a CLIP file in open_clip's names, as float32.

    Reads OpenAI's .pt, scripted or as a state dict, and open_clip's .safetensors and .bin.
    """
    tensors = unwrap(read_tensors(path, sha256), ("module.",))
    return {
        name: tensor.float()
        for name, tensor in tensors.items()
        if name not in CONSTANTS and not name.endswith("attn_mask")
    }


def load_visual(visual: Any, path: Path, sha256: str = "", used: int | None = None) -> None:
    """Load CLIP's visual tower strictly; the text tower of the same file is left out.

    used: layers that a map needs; a file may lack those after them. None: all.
    """
    tensors, own, source = clip_tensors(path, sha256), visual.state_dict(), f"'{path}'"
    if any(name.startswith("visual.") for name in tensors):
        tensors = _visual_part(tensors)
    used = len(visual.transformer.resblocks) if used is None else used
    tensors = with_unused(tensors, own, "transformer.resblocks", used)
    load_strictly(visual, split(tensors, PATCHES, own, source), source)


def visual_tensors(visual: Module) -> dict[str, Tensor]:
    """What `load_visual` reads: the names of a whole CLIP, of which there is no text tower; one
    patch embedding for all bands."""
    tensors = joined(visual.state_dict(), PATCHES)
    return {f"visual.{name}": tensor for name, tensor in tensors.items()}


def _visual_part(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # What belongs to neither tower keeps its name, and is then unexpected.
    return {
        name.removeprefix("visual."): tensor
        for name, tensor in tensors.items()
        if not name.startswith(TEXT)
    }


def _published(model: str, tag: str) -> dict:
    """open_clip's entry of a tag; weights are listed under either spelling of a model."""
    stem = model.removesuffix("-quickgelu")
    for name in (model, stem, f"{stem}-quickgelu"):
        if open_clip.is_pretrained_cfg(name, tag):
            return open_clip.get_pretrained_cfg(name, tag)
    known = sorted(
        {*open_clip.list_pretrained_tags_by_model(stem)}
        | {*open_clip.list_pretrained_tags_by_model(f"{stem}-quickgelu")}
    )
    known += embedded_names("CLIPViT")
    raise ValueError(
        f"There are no weights {tag!r} for {model}; there are {', '.join(known) or 'none'}. "
        f"A local file is given by its path ({KEY})."
    )
