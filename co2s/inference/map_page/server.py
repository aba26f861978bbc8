"""Bokeh's server for one map, within reach of this machine alone."""

from pathlib import Path
from typing import Any

from co2s.optional import import_extra

from .files import MapFiles
from .page import Page

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")


def make_server(files: MapFiles, areas: Path, port: int) -> Any:
    """A server that listens; port 0 takes one that is free. OSError where the port is not.

    It serves the page and Bokeh's own scripts, out of its wheel. Pages of other origins cannot
    connect.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"--port is a number from 0 (any that is free) to 65535, found {port}.")
    settings = import_extra("bokeh.settings", "web").settings
    settings.resources = "server"  # whatever the environment says: nothing comes from a CDN
    server = import_extra("bokeh.server.server", "web").Server
    try:
        made = server(
            {"/": lambda doc: _fill(doc, files, areas)},
            port=port,
            address=ADDRESS,
            allow_websocket_origin=[],
        )
    except OSError as error:
        raise OSError(
            f"Port {port} of {ADDRESS} cannot be used: {error.strerror}. Give another --port."
        ) from error
    # Only now the port is known; a setting goes before what the environment says.
    settings.allowed_ws_origin = [f"{name}:{made.port}" for name in NAMES]
    return made


def _fill(doc: Any, files: MapFiles, areas: Path) -> None:
    Page(doc, files, areas)
