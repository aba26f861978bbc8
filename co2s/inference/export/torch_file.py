"""The network as a program of torch.export (.pt2): PyTorch runs it, and needs nothing of co2s."""

import json
from pathlib import Path
from typing import Any

import torch

from .facts import Facts
from .graph import Graph

FACTS = "co2s.json"  # within the file
BATCHES = torch.export.Dim("batch", min=1, max=1024)


def exported(graph: Graph) -> Any:
    """The graph as an ExportedProgram for batches of any size.

    ValueError for a network with something in it that torch.export cannot follow.
    """
    shapes = {"images": {0: BATCHES}}
    try:
        with torch.no_grad():
            return torch.export.export(
                graph, (graph.example(),), dynamic_shapes=shapes, strict=False
            )
    except Exception as error:  # of the compiler's many kinds
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"torch.export cannot follow this network ({type(error).__name__}: {first}). Leave "
            "onnx and pt2 out of --formats; safetensors holds any."
        ) from error


def write_program(path: Path, program: Any, facts: Facts) -> None:
    """Write the file; the facts are in it as `co2s.json` (extra_files of torch.export.load)."""
    torch.export.save(program, path, extra_files={FACTS: json.dumps(facts.to_dict())})


def load_program(path: Path) -> Any:
    """The program as a function of images (B, C, S, S) in 0..1."""
    return torch.export.load(path).module()
