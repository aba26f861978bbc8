"""The network as ONNX, as QGIS Deepness and GeoDeep read it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from co2s.optional import import_extra

from .facts import Facts

# The lowest that torch.onnx writes: onnxruntime 1.14 and later read it, QGIS's need not be new.
OPSET, IR_VERSION = 18, 8
INPUT, OUTPUT, BATCH = "images", "probabilities", "batch"
FACTS = "co2s"  # the entry of the metadata that says everything
LARGEST = 2**31 - 2**24  # bytes of numbers in a file of ONNX; the rest is for what else is in it


def metadata(facts: Facts) -> dict[str, str]:
    """The entries of the file's metadata, each as JSON: those of Deepness and GeoDeep, and ours.

    Mean 0 and deviation 1, as the graph normalises. Without a threshold of 0 both would make
    class 0 of every pixel whose best class is below 0.5, and without a segment of 0 they would
    take away what is small.
    """
    content = {
        "model_type": "Segmentor",
        "class_names": {str(entry.value): entry.name for entry in facts.classes},
        "resolution": facts.centimetres,
        "tiles_size": facts.tile,
        "tile_size": facts.tile,
        "tiles_overlap": facts.overlap,
        "standardization_mean": [0.0] * facts.bands,
        "standardization_std": [1.0] * facts.bands,
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
        "palette": {str(entry.value): list(entry.color) for entry in facts.classes},
        FACTS: facts.to_dict(),
    }
    return {key: json.dumps(value) for key, value in content.items()}


def check_size(facts: Facts) -> None:
    """ValueError where the network is too large for one file."""
    size = 4 * facts.parameters
    if size > LARGEST:
        raise ValueError(
            f"The network has {size / 2**30:.1f} GiB; a file of ONNX holds 2. Export one student "
            "(--student), or leave onnx out of --formats."
        )


def write_onnx(dynamic: Path, static: Path, program: Any, facts: Facts) -> None:
    """Write an ExportedProgram as ONNX for batches of any size, and for one image at a time.

    The second is the first with every shape a constant.
    """
    ir, optimizer = (import_extra(n, "onnx") for n in ("onnx_ir", "onnxscript.optimizer"))
    torch_onnx = import_extra("torch.onnx", "onnx")
    with _quiet():
        made = torch_onnx.export(
            program,
            dynamo=True,
            optimize=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
        model = made.model
        model.ir_version, model.producer_name = IR_VERSION, "co2s"
        model.producer_version = facts.version
        model.metadata_props.clear()
        model.metadata_props.update(metadata(facts))
        _set_batch(ir, model, BATCH)
        ir.save(model, dynamic)
        _set_batch(ir, model, 1)
        optimizer.optimize(model)
        ir.save(model, static)


def _set_batch(ir: Any, model: Any, batch: Any) -> None:
    """Name the first dimension of what goes in and out; what lies between is inferred anew."""
    ends = [*model.graph.inputs, *model.graph.outputs]
    for value in ends:
        value.shape = ir.Shape([batch, *value.shape[1:]])
    for node in model.graph:
        for value in node.outputs:
            if value not in ends:
                value.shape = None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks on their own optimisations."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
