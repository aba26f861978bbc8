#!/usr/bin/env python
"""Export a trained model as one bundle of files that other programs read.

export.py --weights model_best.pth --output DIR [--config-file config.yaml]
    [--student fused|global|local] [--formats onnx pt2 safetensors stac] [--tile PIXELS]
    [--resolution CM] [--license NAME] [--images FILE|FOLDER]

Into DIR go model.onnx and model_static.onnx (QGIS Deepness, GeoDeep, onnxruntime), model.pt2
(torch.export), model.safetensors with config.json and README.md (Hugging Face's form, and
co2s.inference.export.load_bundle), item.json (STAC with the Machine Learning Model extension), and
parity.json: how far each file is from the model. All of them are written, or none.
docs/export.md says how to use them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from co2s.d2 import setup_logger
from co2s.inference.export import FORMATS, export_bundle
from co2s.inference.export.bundle import check_output
from co2s.inference.export.facts import with_resolution
from co2s.inference.export.selection import EXPORTABLE
from co2s.inference.loading import load_model
from co2s.tables import text_table
from co2s.tool import tool


@tool
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    setup_logger(name="co2s")
    check_output(args.output)
    cfg, model, carried = load_model(args.config_file, args.weights, EXPORTABLE)
    results = export_bundle(
        cfg,
        model,
        with_resolution(carried, args.resolution),
        args.output,
        student=args.student,
        formats=args.formats,
        tile=args.tile,
        license_name=args.license,
        images=args.images,
    )
    report(args, results)


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--weights", required=True, metavar="FILE", help="the checkpoint")
    add("--output", required=True, type=Path, metavar="DIR", help="a new folder, or a bundle")
    add("--config-file", default="", metavar="FILE", help="default: config.yaml beside the weights")
    add("--student", default="fused", help="which prediction (default: %(default)s)")
    add("--formats", nargs="+", default=FORMATS, choices=FORMATS, help="default: all of them")
    add("--tile", type=int, default=0, metavar="PIXELS", help="default: the model's test window")
    add("--resolution", type=float, metavar="CM", help="centimetres per pixel; default: trained on")
    add("--license", default="", metavar="NAME", help="of the model, such as cc-by-4.0")
    add("--images", type=Path, metavar="PATH", help="to compare on; default: drawn windows")
    return parser.parse_args(arguments)


def report(args: argparse.Namespace, results: dict) -> None:
    rows = [
        [name, f"{found['largest_difference']:.1e}", f"{100 * found['equal_classes']:.4f} %"]
        for name, found in results.items()
    ]
    headers = ["file", "largest difference", "equal classes"]
    print(text_table(rows, headers, "simple", disable_numparse=True))
    if args.images is None:
        print("Compared on drawn windows; --images names real ones.")
    if not args.license:
        print("The card says that no licence is named; --license names one.")
    print(f"Wrote {args.output}.")


if __name__ == "__main__":
    main()
