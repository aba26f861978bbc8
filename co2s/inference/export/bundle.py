"""The bundle: every file of an export in one folder, whole or not there, with its proof."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from co2s.d2 import CfgNode
from co2s.data.carried import Carried
from co2s.files import left_by_system, replaced_folder, write_json, write_text
from co2s.modeling.meta_arch.students import Students
from co2s.modeling.temperature import FUSED
from co2s.optional import import_extra

from .card import OTHER, card
from .facts import Facts, facts_of, name_of
from .folder import CONFIG, WEIGHTS, is_bundle, load_bundle, write_config, write_weights
from .graph import Graph
from .onnx_file import OnnxModel
from .onnx_writer import check_size, write_onnx
from .parity import Run, check, compare, expected_of
from .selection import Selection, select
from .stac import ITEM, KINDS, write_item
from .torch_file import exported, load_program, write_program
from .windows import windows_for

FORMATS = ("onnx", "pt2", "safetensors", "stac")
ONNX, STATIC, PROGRAM = "model.onnx", "model_static.onnx", "model.pt2"
CARD, PARITY = "README.md", "parity.json"

logger = logging.getLogger(__name__)
Results = Mapping[str, Mapping[str, Any]]


def export_bundle(
    cfg: CfgNode,
    model: Students,
    carried: Carried,
    output: Path,
    *,
    student: str = FUSED,
    formats: Sequence[str] = FORMATS,
    tile: int = 0,
    license_name: str = "",
    images: Path | None = None,
) -> Results:
    """Write a model, as `load_model` gives it, into the folder `output`; how near each file is.

    student: one of them, or "fused". tile: side in pixels; 0: what the networks see as one test
    window. images: a file or folder to compare on. The folder is written whole or not at all.
    ValueError, OSError or ModuleNotFoundError for what the user can mend.
    """
    check_output(output)
    check_formats(formats, carried)
    selection = select(cfg, model, student)
    facts = facts_of(cfg, carried, selection, tile)
    if "onnx" in formats:
        check_size(facts)
    windows = windows_for(facts, images)
    graph = Graph(selection.model, facts.tile, facts.scale).eval()
    expected = expected_of(model, student, facts.scale, graph, windows.images)
    with replaced_folder(output) as draft:
        write_files(draft, selection, facts, graph, formats)
        runs = runs_of(draft, facts, formats)
        results = {name: compare(expected, windows.images, run) for name, run in runs.items()}
        check(results)
        proof = {"windows": len(windows.images), "tile": facts.tile, "source": windows.source}
        write_json(draft / PARITY, proof | {"files": results})
        name = name_of(facts)
        about = card(name, facts, license_name, results, windows, tuple(formats))
        write_text(draft / CARD, about)
        if "stac" in formats:
            write_item(draft, name, facts, license_name or OTHER)
    return results


def check_output(output: Path) -> None:
    """FileExistsError where there is something else than a bundle."""
    if not output.exists():
        return
    known = {*KINDS, ITEM}
    if output.is_dir():
        found = [path for path in output.iterdir() if not left_by_system(path)]
        foreign = sorted(path.name for path in found if path.name not in known)
        if not found or (not foreign and is_bundle(output / CONFIG)):
            return
        what = f"holds {', '.join(foreign[:3])}" if foreign else f"has no {CONFIG} of this tool"
    else:
        what = "is a file"
    raise FileExistsError(f"{output} {what}: it is no former bundle. Name another --output.")


def check_formats(formats: Sequence[str], carried: Carried) -> None:
    """ValueError or ModuleNotFoundError for formats that cannot be written."""
    unknown = sorted({*formats} - {*FORMATS})
    if unknown or not {*formats} - {"stac"}:
        raise ValueError(
            f"--formats {' '.join(formats)}: name onnx, pt2 or safetensors; stac describes those."
        )
    if "onnx" not in formats:
        return
    for module in ("onnx", "onnxruntime", "onnxscript"):
        import_extra(module, "onnx")
    if carried.resolution is None:
        raise ValueError(
            "The weights do not know how much ground a pixel covers, which readers of ONNX need: "
            "give --resolution, in centimetres per pixel."
        )


def write_files(
    folder: Path, selection: Selection, facts: Facts, graph: Graph, formats: Sequence[str]
) -> None:
    """The files that hold the network."""
    write_config(folder / CONFIG, selection, facts)
    if "safetensors" in formats:
        write_weights(folder / WEIGHTS, selection)
    if not {"onnx", "pt2"} & {*formats}:
        return
    logger.info("Tracing the network for tiles of %d pixels", facts.tile)
    program = exported(graph)
    if "pt2" in formats:
        write_program(folder / PROGRAM, program, facts)
    if "onnx" in formats:
        logger.info("Writing ONNX")
        write_onnx(folder / ONNX, folder / STATIC, program, facts)


def runs_of(folder: Path, facts: Facts, formats: Sequence[str]) -> dict[str, Run]:
    """What each file computes, read again from the disk."""
    runs: dict[str, Run] = {}
    if "onnx" in formats:
        runs |= {name: OnnxModel(folder / name) for name in (ONNX, STATIC)}
    if "pt2" in formats:
        runs[PROGRAM] = _from_bytes(load_program(folder / PROGRAM))
    if "safetensors" in formats:
        again = load_bundle(folder)[1]
        runs[WEIGHTS] = _from_bytes(Graph(again, facts.tile, facts.scale).eval())
    return runs


def _from_bytes(module: Callable[[Tensor], Tensor]) -> Run:
    return lambda images: module(images.float() / 255.0)
