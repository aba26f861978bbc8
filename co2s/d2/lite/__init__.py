"""A subset of detectron2's public interface, written afresh on fvcore, iopath and torch.

Same names, same signatures, same behaviour for what this project uses; configs and checkpoints can
go back and forth. Import the names from `co2s.d2`, which prefers detectron2 itself.
"""

from fvcore.common.registry import Registry

from . import comm, hooks
from .catalog import DatasetCatalog, MetadataCatalog
from .checkpoint import DetectionCheckpointer
from .config import CfgNode, get_cfg
from .configurable import configurable
from .defaults import create_ddp_model, default_argument_parser, default_setup, default_writers
from .env import seed_all_rng
from .evaluation import DatasetEvaluator, DatasetEvaluators, print_csv_format
from .events import EventStorage, get_event_storage
from .file_io import PathManager
from .image_list import ImageList
from .inference import inference_context, inference_on_dataset
from .launch import launch
from .logger import setup_logger
from .modeling import BACKBONE_REGISTRY, META_ARCH_REGISTRY, Backbone, build_model
from .predictor import DefaultPredictor
from .samplers import InferenceSampler, TrainingSampler, trivial_batch_collator
from .shape_spec import ShapeSpec
from .simple_trainer import SimpleTrainer
from .train_loop import HookBase, TrainerBase
from .writers import CommonMetricPrinter, EventWriter, JSONWriter, TensorboardXWriter

__all__ = [
    "BACKBONE_REGISTRY",
    "Backbone",
    "CfgNode",
    "CommonMetricPrinter",
    "DatasetCatalog",
    "DatasetEvaluator",
    "DatasetEvaluators",
    "DefaultPredictor",
    "DetectionCheckpointer",
    "EventStorage",
    "EventWriter",
    "HookBase",
    "ImageList",
    "InferenceSampler",
    "JSONWriter",
    "META_ARCH_REGISTRY",
    "MetadataCatalog",
    "PathManager",
    "Registry",
    "ShapeSpec",
    "SimpleTrainer",
    "TensorboardXWriter",
    "TrainerBase",
    "TrainingSampler",
    "build_model",
    "comm",
    "configurable",
    "create_ddp_model",
    "default_argument_parser",
    "default_setup",
    "default_writers",
    "get_cfg",
    "get_event_storage",
    "hooks",
    "inference_context",
    "inference_on_dataset",
    "launch",
    "print_csv_format",
    "seed_all_rng",
    "setup_logger",
    "trivial_batch_collator",
]
