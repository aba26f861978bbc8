"""The network in Hugging Face's form of a folder, weights and configuration, and the way back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from co2s.d2 import CfgNode
from co2s.data.carried import Carried
from co2s.files import write_bytes, write_json
from co2s.modeling.meta_arch.students import Students

from .facts import Facts
from .selection import Selection, build

WEIGHTS, CONFIG = "model.safetensors", "config.json"
MADE_BY = "co2s_export"  # the entry of config.json by which a folder is known; its version
VERSION = 1


def write_weights(path: Path, selection: Selection) -> None:
    """The tensors of the model, by their names in it."""
    state = selection.model.state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_bytes(path, save(tensors, {"format": "pt"}))


def write_config(path: Path, selection: Selection, facts: Facts) -> None:
    """All that builds the model again, beside what Hugging Face's tools read."""
    names = {str(entry.value): entry.name for entry in facts.classes}
    content = {
        MADE_BY: VERSION,
        "model_type": "co2s",
        "architectures": ["Students"],
        "image_size": facts.tile,
        "num_channels": facts.bands,
        "num_labels": len(names),
        "id2label": names,
        "label2id": {name: int(value) for value, name in names.items()},
        "options": dict(selection.options),
        "facts": facts.to_dict(),
    }
    write_json(path, content)


def load_bundle(folder: str | Path, opts: Sequence[Any] = ()) -> tuple[CfgNode, Students, Carried]:
    """Configuration, model and the facts of its dataset, as `co2s.inference.loading.load_model`
    gives them, of a folder of tools/export.py.

    FileNotFoundError or ValueError for a folder that is none.
    """
    folder = Path(folder)
    content = read_config(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"{folder} holds no {WEIGHTS}: export with --formats safetensors.")
    cfg, model = build(content["options"], opts)
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise ValueError(f"{weights} is damaged: {error}") from error
    model.load_state_dict(tensors)
    return cfg, model.eval(), Facts.from_dict(content["facts"]).carried


def read_config(folder: Path) -> Mapping[str, Any]:
    """config.json of a bundle; FileNotFoundError or ValueError where there is none."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no bundle of tools/export.py: it has no {CONFIG}.")
    content = is_bundle(path)
    if content is None:
        raise ValueError(f"{path} is not by tools/export.py, or of another version of it.")
    return content


def is_bundle(config: Path) -> Mapping[str, Any] | None:
    """What a config.json holds if tools/export.py has written it."""
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    made = isinstance(content, dict) and content.get(MADE_BY) == VERSION
    return content if made else None
