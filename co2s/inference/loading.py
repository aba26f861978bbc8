"""A trained model for prediction: its configuration and its weights are enough."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from co2s.d2 import CfgNode, DetectionCheckpointer, build_model
from co2s.data.carried import Carried, carried_of
from co2s.engine import load_cfg
from co2s.modeling.meta_arch.students import Students

# No dataset need be there: what is known of it comes with the weights.
NO_DATASET = ("LABELED", "UNLABELED", "VAL", "TEST", "SPECS")


def load_model(
    config_file: str, weights: str, opts: Sequence[Any] = ()
) -> tuple[CfgNode, Students, Carried]:
    """The model of a configuration with its weights, ready to predict, and what it carries.

    Without a file the configuration is the config.yaml beside the weights. Weights that carry no
    dataset are read by that of the configuration. ValueError or FileNotFoundError for what the
    user can mend.
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(f"The weights '{weights}' are missing, seen from {Path.cwd()}.")
    config_file = config_file or str(Path(weights).with_name("config.yaml"))
    if not Path(config_file).is_file():
        raise FileNotFoundError(f"The configuration '{config_file}' is missing: name one.")
    carried = Carried.read(Path(weights))
    own: list[Any] = ["MODEL.WEIGHTS", str(weights)]
    if carried is not None:
        own += _without_dataset(carried)
    cfg = load_cfg(config_file, [*opts, *own])
    if carried is None:
        carried = carried_of((*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST))
    if carried is None:
        raise ValueError(
            f"{weights} do not say which classes they know, and {config_file} names no dataset. "
            "Name one in DATASETS.TEST."
        )
    model: Any = build_model(cfg)
    DetectionCheckpointer(model).load(str(weights))
    return cfg, model.eval(), carried


def _without_dataset(carried: Carried) -> list[Any]:
    raster = carried.raster
    bands = len(raster.bands) if raster else 3
    none = [part for key in NO_DATASET for part in (f"DATASETS.{key}", "()")]
    sizes = ["MODEL.NUM_CLASSES", len(carried.classes), "MODEL.NUM_BANDS", bands]
    return [*none, "DATASETS.ROOT", "", *sizes]
