#!/usr/bin/env python
"""Look at a map in the browser: the scene, its classes, where the model is unsure.

serve_map.py --scene S.tif --prediction P.tif [--suggestions areas.gpkg] [--port 5006]

The prediction is a class map of tools/predict.py; what lies beside it (P_global.tif, P_local.tif,
P_uncertainty.tif, P.json) is shown as well. Areas drawn on the page are added to a GeoPackage, to
be labelled. Only this machine can reach the page, and the page asks nothing of any other.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from co2s.d2 import setup_logger
from co2s.inference.map_page.areas import check_areas_file, default_path
from co2s.inference.map_page.files import open_files
from co2s.inference.map_page.server import ADDRESS, make_server
from co2s.tool import tool


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    setup_logger(name="co2s")
    areas = args.suggestions or default_path(args.prediction)
    with open_files(args.scene, args.prediction, args.bands) as files:
        check_areas_file(areas, files)
        server = make_server(files, areas, args.port)
        where = f"http://{ADDRESS}:{server.port}/"
        print(f"{where} shows {args.prediction}. Ctrl-C ends it.", flush=True)
        server.run_until_shutdown()


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--scene", type=Path, required=True, help="the raster or picture that was predicted")
    add("--prediction", type=Path, required=True, help="its class map, a GeoTIFF")
    add("--port", type=int, default=5006, help="0: any that is free (default: %(default)s)")
    beside = "GeoPackage for areas drawn on the page (default: P_suggestions.gpkg beside P.tif)"
    add("--suggestions", type=Path, help=beside)
    colors = "bands of the scene shown as red, green, blue; one: grey (default: the first three)"
    add("--bands", type=int, nargs="+", default=[], help=colors)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
