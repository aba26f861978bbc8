"""A STAC item of the network, with the Machine Learning Model extension (MLM)."""

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from co2s.files import write_json
from co2s.modeling.weights import file_digest

from .facts import Facts

ITEM = "item.json"
EXTENSIONS = (
    "https://stac-extensions.github.io/mlm/v1.5.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
)
SHA256 = "1220"  # of a multihash: SHA-256, 32 bytes
MODEL = ["mlm:model", "mlm:weights", "data"]
# What the files of a bundle are: title, media type, roles, how the model was stored.
ONNX_TYPE = "application/octet-stream; framework=onnx; profile=onnx"
KINDS = {
    "model.onnx": ("ONNX, batches of any size", ONNX_TYPE, MODEL, "onnx"),
    "model_static.onnx": ("ONNX, one image at a time", ONNX_TYPE, MODEL, "onnx"),
    "model.pt2": (
        "Program of torch.export",
        "application/octet-stream; application=pytorch",
        MODEL,
        "torch.export.save",
    ),
    "model.safetensors": (
        "Weights for co2s",
        "application/octet-stream; application=safetensors",
        MODEL,
        "safetensors",
    ),
    "config.json": ("Configuration of the weights", "application/json", ["metadata"], ""),
    "README.md": ("Model card", "text/markdown", ["overview", "metadata"], ""),
    "parity.json": ("Differences from the model", "application/json", ["metadata"], ""),
}


def write_item(folder: Path, name: str, facts: Facts, license_name: str) -> None:
    """Write item.json about the files of a folder; none of them may change afterwards."""
    files = [folder / file for file in KINDS if (folder / file).is_file()]
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [*EXTENSIONS],
        "id": name,
        "geometry": None,  # where the training's images lie is not known
        "properties": properties(name, facts, license_name),
        "links": [],
        "assets": {file.name: _asset(file, facts) for file in files},
    }
    write_json(folder / ITEM, item)


def properties(name: str, facts: Facts, license_name: str) -> dict[str, Any]:
    """What the item says of the model."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    sources = [source for source in facts.pretrained.values() if source]
    return {
        "datetime": now,
        "description": f"Semantic segmentation into {len(facts.classes)} classes, trained by co2s.",
        "license": license_name,
        "mlm:name": name,
        "mlm:architecture": ", ".join(dict.fromkeys(facts.networks.values())),
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "pytorch",
        "mlm:framework_version": torch.__version__,
        "mlm:total_parameters": facts.parameters,
        "mlm:pretrained": bool(sources),
        "mlm:pretrained_source": ", ".join(dict.fromkeys(sources)) or None,
        "mlm:accelerator_constrained": False,
        "mlm:hyperparameters": {"method": facts.method, "student": facts.student},
        "mlm:input": [_input(facts)],
        "mlm:output": [_output(facts)],
    } | ({} if facts.carried.resolution is None else {"gsd": facts.carried.resolution})


def _input(facts: Facts) -> dict[str, Any]:
    raster = facts.carried.to_dict()["raster"]
    entry = {
        "name": "images",
        "bands": facts.band_names,
        "input": {
            "shape": [-1, facts.bands, facts.tile, facts.tile],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        # Of 8-bit values; normalisation is part of the graph.
        "value_scaling": [{"type": "min-max", "minimum": 0, "maximum": 255}],
    }
    if raster is not None:
        words = "Which bands are read, and how they become 8-bit values: `raster` of co2s."
        entry["pre_processing_function"] = {
            "format": "co2s-raster",
            "expression": raster,
            "description": words,
        }
    return entry


def _output(facts: Facts) -> dict[str, Any]:
    classes = [
        {
            "value": entry.value,
            "name": entry.name,
            "description": entry.name,
            "color_hint": "".join(f"{part:02X}" for part in entry.color),
        }
        for entry in facts.classes
    ]
    return {
        "name": "probabilities",
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [-1, len(classes), facts.tile, facts.tile],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": classes,
    }


def _asset(file: Path, facts: Facts) -> Mapping[str, Any]:
    title, media_type, roles, artifact = KINDS[file.name]
    asset: dict[str, Any] = {
        "href": f"./{file.name}",
        "title": title,
        "type": media_type,
        "roles": roles,
        "file:size": file.stat().st_size,
        "file:checksum": SHA256 + file_digest(file),
    }
    if artifact:
        asset["mlm:artifact_type"] = artifact
        asset["bands"] = [{"name": name} for name in dict.fromkeys(facts.band_names)]
    return asset
