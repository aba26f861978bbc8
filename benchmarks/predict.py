"""From scenes to maps: Mpx/s beside the bare model's on the same batches, shards, and memory.

Scenes are drawn, one for each side; without --weights the model of the configuration is random.
Every figure comes from a process of its own. In it the model first answers some batches of the
scene with nothing beside it: their median stands for all. Then the whole scene is predicted.
Products are the class map, its confidence, and polygons.
"""

import argparse
import itertools
import shutil
import tempfile
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from co2s.d2 import build_model
from co2s.data.carried import KEY, Carried, CarriedClass
from co2s.engine import load_cfg
from co2s.inference.layers import Wanted
from co2s.inference.reading import Grid, read_work
from co2s.inference.run import FUSED, Job, Predictor
from co2s.inference.scene import open_scene
from co2s.inference.scene_maps import Outlines
from co2s.inference.sources import Source
from co2s.tables import text_table

from .load import peak_memory
from .scenes import write_scene

Results = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sides", nargs="+", type=int, default=[1000], help="of scenes, pixels")
    parser.add_argument("--shards", nargs="+", type=int, default=[1], help="processes at a time")
    parser.add_argument("--weights", default="", help="of a trained model; default: a random one")
    parser.add_argument("--student", default=FUSED, help="whose map")
    parser.add_argument("--classes", type=int, default=6, help="of the random model")
    parser.add_argument("--bare", type=int, default=15, help="batches that the bare model answers")
    parser.add_argument("--polygons", default="gpkg", choices=("", "gpkg", "geojson", "parquet"))
    parser.add_argument("--min-area", type=float, default=25.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--repeats", type=int, default=1)


def run(args: argparse.Namespace) -> Results:
    """Figures by side, and seconds by shards for as many scenes of the first side."""
    folder = Path(tempfile.mkdtemp(prefix="co2s_predict_"))
    try:
        job = job_of(args, folder)
        found: Results = {"sides": {}, "shards": {}}
        for side in args.sides:
            scene = str(write_scene(folder / f"{side}.tif", side))
            found["sides"][side] = [_alone(job, scene, args.bare) for _ in range(args.repeats)]
        most = max(args.shards)
        if most > 1:
            scenes = [str(folder / f"{args.sides[0]}.tif")] * most
            for count in args.shards:
                seconds = [_shards(job, scenes, count) for _ in range(args.repeats)]
                found["shards"][count] = seconds
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def job_of(args: argparse.Namespace, folder: Path) -> Job:
    opts = ["MODEL.DEVICE", args.device]
    if args.precision != "fp32":
        opts += ["SOLVER.AMP.ENABLED", "True", "SOLVER.AMP.DTYPE", args.precision]
    weights = args.weights or str(_random(args, folder))
    return Job(
        config_file=args.config_file if args.weights else "",
        weights=weights,
        output=str(folder / "maps"),
        opts=(*opts, *args.opts) if args.weights else tuple(opts),
        student=args.student,
        wanted=Wanted(("confidence",)),
        outlines=Outlines(args.polygons, args.min_area),
    )


def _random(args: argparse.Namespace, folder: Path) -> Path:
    """The checkpoint of a model at random."""
    none = [part for key in ("LABELED", "UNLABELED", "TEST") for part in (f"DATASETS.{key}", "()")]
    sizes = ["MODEL.NUM_CLASSES", args.classes, "MODEL.NUM_BANDS", 3]
    cfg = load_cfg(args.config_file, [*none, *sizes, "MODEL.DEVICE", "cpu", *args.opts])
    classes = tuple(
        CarriedClass(f"class {n}", (40 * n % 256, 90, 200)) for n in range(args.classes)
    )
    carried = Carried("random", classes).to_dict()
    (folder / "config.yaml").write_text(cfg.dump())
    torch.save({"model": build_model(cfg).state_dict(), KEY: carried}, folder / "random.pth")
    return folder / "random.pth"


def _alone(job: Job, scene: str, bare: int) -> dict[str, float]:
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (job, scene, bare))


def measure(job: Job, scene: str, bare: int) -> dict[str, float]:
    """Seconds of a whole scene, and those of the bare model for as many batches; peak GB."""
    predictor = Predictor(job)
    bare_seconds, pixels = _bare(predictor, scene, bare)
    start = perf_counter()
    predictor.predict(Source(scene, "map"))
    seconds = perf_counter() - start
    return {
        "pixels": pixels,
        "seconds": seconds,
        "bare_seconds": bare_seconds,
        "GB": peak_memory(),
        "device_GB": torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0,
    }


def _bare(predictor: Predictor, path: str, count: int) -> tuple[float, int]:
    """Seconds for all windows of a scene, by the median of some batches, and its pixels."""
    plan, network = predictor.plan, predictor.network
    with open_scene(path, predictor.carried.raster) as scene:
        factor = plan.enlarged(predictor.carried, scene.size)
        grid = Grid.of(scene.size, factor, False, plan.window, plan.stride)
        work = (w.images for w in read_work(scene, grid, plan.batch) if w.images is not None)
        images = [*itertools.islice(work, count)]
        network.logits(images[0])
        seconds = median(_timed(network, batch) / len(batch) for batch in images)
        return seconds * len(grid.boxes), scene.size[0] * scene.size[1]


def _timed(network: Any, images: torch.Tensor) -> float:
    start = perf_counter()
    network.logits(images)
    return perf_counter() - start


def _shards(job: Job, scenes: Sequence[str], count: int) -> float:
    """Seconds that `count` processes take for all scenes, models loaded."""
    context = get_context("spawn")
    parts = [scenes[number::count] for number in range(count)]
    pipes = [context.Pipe() for _ in parts]
    workers = [
        context.Process(target=_shard, args=(job, part, number, pipe[1]))
        for number, (part, pipe) in enumerate(zip(parts, pipes, strict=True))
    ]
    for worker in workers:
        worker.start()
    for here, _ in pipes:
        here.recv()  # its model is loaded
    start = perf_counter()
    for here, _ in pipes:
        here.send("go")
    for here, _ in pipes:
        here.recv()
    seconds = perf_counter() - start
    for worker in workers:
        worker.join()
    return seconds


def _shard(job: Job, scenes: Sequence[str], number: int, pipe: Any) -> None:
    predictor = Predictor(job)
    pipe.send("ready")
    pipe.recv()
    for turn, scene in enumerate(scenes):
        predictor.predict(Source(scene, f"map_{number}_{turn}"))
    pipe.send("done")


def tables(results: Results) -> list[str]:
    """One row for each scene, one for each number of shards."""
    rows = [_row(side, figures) for side, figures in results["sides"].items()]
    headers = ["side, pixels", "Mpx/s", "bare model", "share", "peak GB", "device GB"]
    parts = [text_table(rows, headers, disable_numparse=True)]
    if results["shards"]:
        one = median(results["shards"].get(1, [float("nan")]))
        lines = [
            [count, f"{median(s):.1f}", f"{one / median(s):.2f}"]
            for count, s in results["shards"].items()
        ]
        parts.append(
            text_table(
                lines, ["processes", "seconds for all", "times as fast"], disable_numparse=True
            )
        )
    return parts


def _row(side: Any, figures: Sequence[dict[str, float]]) -> list[Any]:
    rate = median(f["pixels"] / f["seconds"] for f in figures) / 1e6
    bare = median(f["pixels"] / f["bare_seconds"] for f in figures) / 1e6
    share = median(f["bare_seconds"] / f["seconds"] for f in figures)
    memory = [f"{max(f[key] for f in figures):.2f}" for key in ("GB", "device_GB")]
    return [side, f"{rate:.3f}", f"{bare:.3f}", f"{share:.3f}", *memory]
