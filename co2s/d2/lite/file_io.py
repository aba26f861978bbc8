"""The path manager: local paths and web addresses opened alike."""

from iopath.common.file_io import HTTPURLHandler
from iopath.common.file_io import PathManager as _PathManager

PathManager = _PathManager()
PathManager.register_handler(HTTPURLHandler())
