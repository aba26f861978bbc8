"""A model as one bundle of files that others read: ONNX, torch.export, Hugging Face, STAC."""

from .bundle import FORMATS, export_bundle
from .folder import load_bundle
from .onnx_file import OnnxModel

__all__ = ["FORMATS", "OnnxModel", "export_bundle", "load_bundle"]
