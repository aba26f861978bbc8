"""CLIP's text encoder: open_clip's text tower alone, for as long as prototypes are made."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from co2s.optional import LateModule

from ...backbone.clip_formats import clip_tensors, find_clip_file, quick_gelu
from ...weights import WeightsError, load_strictly

open_clip = LateModule("open_clip")
clip_model = LateModule("open_clip.model")  # builds a text tower as CLIP does, in 2.26 and in 3.x

BATCH = 64  # sentences that pass the tower together
OTHERS = ("visual.", "logit_scale", "logit_bias")  # parts of CLIP that are no text encoder


class TextEncoder:
    """Sentences -> raw text features (n, C), float32, as open_clip's `encode_text` gives them.

    The visual tower is never built. Nothing here is a module of the student: once the encoder goes
    out of scope its memory is free.
    """

    def __init__(self, model: str, tower: nn.Module):
        self.model, self.tower = model, tower.eval()
        self.tokenizer = open_clip.get_tokenizer(model)

    @classmethod
    def load(cls, model: str, weights: str, sha256: str = "") -> "TextEncoder":
        """open_clip's model by name, with the weights of one of its tags or of a local file.

        ValueError for an unknown model or tag, FileNotFoundError, and WeightsError for a file that
        cannot be had, holds no text encoder or does not fit.
        """
        path = find_clip_file(model, weights)
        tower = build_text_tower(model, quick_gelu(model, weights))
        tensors = text_tensors(clip_tensors(path, sha256))
        if not tensors:
            raise WeightsError(
                f"Weights '{path}' hold no text encoder. Give a whole CLIP file as "
                "GUIDANCE.TEXT_WEIGHTS, or prototypes made elsewhere as GUIDANCE.PROTOTYPES."
            )
        load_strictly(tower, tensors, f"the text encoder {model} in '{path}'")
        return cls(model, tower)

    @torch.no_grad()
    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """ValueError for a sentence that is longer than the encoder's context."""
        for sentence in sentences:
            self._check_length(sentence)
        tokens = self.tokenizer(list(sentences))
        return torch.cat([self.tower(part) for part in tokens.split(BATCH)]).float()

    def _check_length(self, sentence: str) -> None:
        count = len(self.tokenizer.encode(sentence)) + 2  # start and end
        if count > self.tokenizer.context_length:
            raise ValueError(
                f"The sentence {sentence!r} has {count} tokens; {self.model} reads "
                f"{self.tokenizer.context_length}. Shorten the concept or the template."
            )


def build_text_tower(model: str, quick: bool) -> nn.Module:
    """open_clip's text tower with random weights; `quick`: QuickGELU in place of GELU.

    The process's random numbers are left as they are, so that a run that makes its prototypes
    draws the same ones as a run that finds them.
    """
    config = text_config(model)
    with torch.random.fork_rng(devices=[]):
        return clip_model._build_text_tower(config["embed_dim"], config["text_cfg"], quick)


def text_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of a CLIP file's tensors that belongs to the text tower, under its names."""
    return {
        name.removeprefix("text."): tensor
        for name, tensor in tensors.items()
        if not name.startswith(OTHERS)
    }


def text_config(model: str) -> dict[str, Any]:
    """open_clip's configuration of a model whose text encoder is its own.

    ValueError for an unknown model, and for one whose tokenizer would have to be downloaded.
    """
    config = open_clip.get_model_config(model)
    if config is None:
        raise ValueError(
            f"open_clip has no model named {model!r}; it has {', '.join(_own_text_models())}. Name "
            "one as GUIDANCE.TEXT_MODEL."
        )
    if not _has_own_text(config):
        raise ValueError(
            f"The text encoder of {model!r} is not open_clip's own: its tokenizer or its weights "
            "are another library's. Name another GUIDANCE.TEXT_MODEL, as ViT-B-16-quickgelu."
        )
    return config


def text_dim(model: str) -> int:
    """The dimensions of a model's text features."""
    return text_config(model)["embed_dim"]


def text_models(dim: int) -> list[str]:
    """The ViTs of open_clip whose text features have `dim` dimensions."""
    return [name for name in _own_text_models() if text_dim(name) == dim]


def network_name(model: str, weights: str) -> str:
    """A model's name with the activation that its weights ask for.

    ViT-B-16 with OpenAI's weights is the network that is also called ViT-B-16-quickgelu.
    """
    quick = quick_gelu(model, weights)
    if quick == bool(text_config(model).get("quick_gelu", False)):
        return model
    return f"{model}-quickgelu" if quick else model.removesuffix("-quickgelu")


def _own_text_models() -> list[str]:
    names = [name for name in open_clip.list_models() if name.startswith("ViT-")]
    return [name for name in names if _has_own_text(open_clip.get_model_config(name) or {})]


def _has_own_text(config: Mapping[str, Any]) -> bool:
    text = config.get("text_cfg", {})
    foreign = text.get("hf_model_name") or text.get("hf_tokenizer_name")
    return not foreign and "multimodal_cfg" not in config
