"""A tiny CLIP of open_clip's, known by name, and files of random weights for it."""

import json
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP

NAME = "tiny-clip"  # and tiny-clip-quickgelu
CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 32,
        "layers": 2,
        "width": 32,
        "patch_size": 8,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def register(folder: Path) -> None:
    """Make both names known to open_clip; for the whole process, there is no way back."""
    for name, quick in ((NAME, False), (f"{NAME}-quickgelu", True)):
        (folder / f"{name}.json").write_text(json.dumps({**CONFIG, "quick_gelu": quick}))
        open_clip.add_model_config(folder / f"{name}.json")


def tiny_clip(quick: bool = True, seed: int = 0) -> CLIP:
    """A CLIP whose features differ much between sentences, in direction and in length."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIP(**CONFIG, quick_gelu=quick).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def write_weights(path: Path, seed: int = 0) -> str:
    """Save the weights of such a CLIP; the path as text."""
    torch.save(tiny_clip(seed=seed).state_dict(), path)
    return str(path)
