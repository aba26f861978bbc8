"""Files of pretrained tensors: found, checked, read without running code, loaded strictly."""

from .files import WeightsError, file_digest, is_path, local_file, read_metadata, read_tensors
from .loading import load_strictly, unwrap

__all__ = [
    "WeightsError",
    "file_digest",
    "is_path",
    "load_strictly",
    "local_file",
    "read_metadata",
    "read_tensors",
    "unwrap",
]
