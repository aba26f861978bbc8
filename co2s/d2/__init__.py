"""Compatibility: every detectron2 name this project uses, from detectron2 or the subset `lite`.

Nothing else in the project imports detectron2. Where it is installed it is used; where it is not,
`co2s.d2.lite` stands in. The environment variable CO2S_D2 decides otherwise: "lite" takes the
subset, "detectron2" insists on the original.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any, Literal

from .predictor import with_checks

if TYPE_CHECKING:
    # The subset has the same names and signatures, and types besides.
    from .lite import *  # noqa: F403

# Name -> where detectron2 has it. A module stands under its own name.
NAMES = {
    "BACKBONE_REGISTRY": "detectron2.modeling",
    "Backbone": "detectron2.modeling",
    "CfgNode": "detectron2.config",
    "CommonMetricPrinter": "detectron2.utils.events",
    "DatasetCatalog": "detectron2.data",
    "DatasetEvaluator": "detectron2.evaluation",
    "DatasetEvaluators": "detectron2.evaluation",
    "DefaultPredictor": "detectron2.engine",
    "DetectionCheckpointer": "detectron2.checkpoint",
    "EventStorage": "detectron2.utils.events",
    "EventWriter": "detectron2.utils.events",
    "HookBase": "detectron2.engine",
    "ImageList": "detectron2.structures",
    "InferenceSampler": "detectron2.data.samplers",
    "JSONWriter": "detectron2.utils.events",
    "META_ARCH_REGISTRY": "detectron2.modeling",
    "MetadataCatalog": "detectron2.data",
    "PathManager": "detectron2.utils.file_io",
    "Registry": "detectron2.utils.registry",
    "ShapeSpec": "detectron2.layers",
    "SimpleTrainer": "detectron2.engine",
    "TensorboardXWriter": "detectron2.utils.events",
    "TrainerBase": "detectron2.engine",
    "TrainingSampler": "detectron2.data.samplers",
    "build_model": "detectron2.modeling",
    "comm": "detectron2.utils.comm",
    "configurable": "detectron2.config",
    "create_ddp_model": "detectron2.engine",
    "default_argument_parser": "detectron2.engine",
    "default_setup": "detectron2.engine",
    "default_writers": "detectron2.engine",
    "get_cfg": "detectron2.config",
    "get_event_storage": "detectron2.utils.events",
    "hooks": "detectron2.engine.hooks",
    "inference_context": "detectron2.evaluation",
    "inference_on_dataset": "detectron2.evaluation",
    "launch": "detectron2.engine",
    "print_csv_format": "detectron2.evaluation",
    "seed_all_rng": "detectron2.utils.env",
    "setup_logger": "detectron2.utils.logger",
    "trivial_batch_collator": "detectron2.data.build",
}


def _installed() -> bool:
    # Found, not imported: a detectron2 that is there and broken must fail, not be passed over. A
    # mere folder of that name (a clone in the working directory) has no origin.
    spec = importlib.util.find_spec("detectron2")
    return spec is not None and spec.origin is not None


def _choose() -> Literal["detectron2", "lite"]:
    wish = os.environ.get("CO2S_D2", "")
    if wish not in ("", "lite", "detectron2"):
        raise ValueError(
            f"The environment variable CO2S_D2 is '{wish}': set it to 'lite' or 'detectron2', "
            "or unset it to use detectron2 where it is installed."
        )
    if wish == "detectron2" and not _installed():
        raise ModuleNotFoundError(
            "CO2S_D2=detectron2 asks for detectron2, which is not installed: "
            "install it, or unset CO2S_D2 to use the built-in subset.",
            name="detectron2",
        )
    return "detectron2" if wish != "lite" and _installed() else "lite"


def _take(name: str) -> Any:
    if ACTIVE == "lite":
        return getattr(importlib.import_module(".lite", __name__), name)
    module = importlib.import_module(NAMES[name])
    return module if NAMES[name].endswith("." + name) else getattr(module, name)


ACTIVE: Literal["detectron2", "lite"] = _choose()
globals().update({name: _take(name) for name in NAMES})
globals()["DefaultPredictor"] = with_checks(_take("DefaultPredictor"))
__all__ = ["ACTIVE", "describe", *NAMES]


def describe() -> str:
    """Which of the two is in use, in one line, for logs."""
    if ACTIVE == "lite":
        return "detectron2 subset (co2s.d2.lite)"
    detectron2 = importlib.import_module("detectron2")
    return f"detectron2 {detectron2.__version__} at {detectron2.__path__[0]}"
