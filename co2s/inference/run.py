"""Many scenes in one run: the model is loaded once, finished scenes are left alone."""

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from co2s.data.carried import Carried
from co2s.errors import is_mendable
from co2s.modeling.weights import file_digest
from co2s.structures import stride_of

from .export.onnx_file import OnnxModel
from .geotiff import NotWritten, bound_memory
from .layers import NO_MORE, Wanted
from .loading import load_model
from .network import Network, OnnxNetwork, StudentsNetwork
from .scene_maps import NO_OUTLINES, Outlines, Plan, is_finished, predict_scene
from .sources import Source

logger = logging.getLogger(__name__)

FUSED = "fused"
# Of an ONNX file's windows, as TEST.STRIDE_RATIO and TEST.WINDOW_BATCH are for checkpoints.
STRIDE_RATIO, BATCH = 5 / 6, 4


@dataclass(frozen=True)
class Job:
    """What is asked for, in values that another process can be handed."""

    config_file: str
    weights: str
    output: str
    opts: tuple[Any, ...] = ()
    student: str = FUSED
    wanted: Wanted = NO_MORE
    maps: bool = False  # each student's class map, too
    outlines: Outlines = NO_OUTLINES
    tta: bool = False
    warp: bool = True
    batch: int = 0  # windows that pass the network together; 0: TEST.WINDOW_BATCH


class Predictor:
    """A job with its model, for one scene after another."""

    def __init__(self, job: Job) -> None:
        """ValueError or FileNotFoundError for what the user can mend."""
        bound_memory()
        self.output = Path(job.output)
        self.network, self.carried, self.plan = opened(job)

    def finished(self, source: Source) -> bool:
        return is_finished(source, self.output, self.plan)

    def predict(
        self, source: Source, seen: Callable[[int, int], None] = lambda done, total: None
    ) -> dict[str, Any]:
        """Write the maps of a scene; returns the record that lies beside them."""
        return predict_scene(
            source, self.output, self.network, self.carried, self.plan, seen=seen, say=logger.info
        )


def opened(job: Job) -> tuple[Network, Carried, Plan]:
    """The network of a job, the facts of its training, and how scenes become maps."""
    if job.weights.endswith(".onnx"):
        return _opened_onnx(job)
    cfg, model, carried = load_model(job.config_file, job.weights, job.opts)
    if job.student not in (FUSED, *model.students):
        raise ValueError(f"--student {job.student}: there are {[FUSED, *model.students]}.")
    if job.student != FUSED:
        model.fusion = job.student
    model.student_maps = job.maps or "disagreement" in job.wanted.uncertainty
    network = StudentsNetwork(model, len(carried.classes), job.tta)
    wanted = Wanted(
        job.wanted.uncertainty, job.wanted.probabilities, tuple(model.asked) if job.maps else ()
    )
    wanted.check(model.asked)
    made_by = {
        "weights": file_digest(job.weights),
        "student": job.student,
        "fusion": model.fusion,
        "tta": job.tta,
        "precision": cfg.SOLVER.AMP.DTYPE if cfg.SOLVER.AMP.ENABLED else "fp32",
    }
    plan = Plan(
        window=model.window,
        stride=model.stride,
        batch=job.batch or model.window_batch,
        base=model.test_base_size,
        scale=model.test_scale,
        warp=job.warp,
        wanted=wanted,
        outlines=job.outlines,
        network=tuple(made_by.items()),
    )
    return network, carried, plan


def _opened_onnx(job: Job) -> tuple[Network, Carried, Plan]:
    """Of a file of tools/export.py, which is one prediction, at the scale of the training."""
    if job.student != FUSED or job.tta or job.opts or job.config_file:
        raise ValueError(
            "An ONNX file is one prediction as it was exported: --student, --tta, --config-file, "
            "--precision and KEY VALUE options are for checkpoints."
        )
    model = OnnxModel(job.weights)
    wanted = Wanted(job.wanted.uncertainty, job.wanted.probabilities)
    wanted.check([FUSED])
    if job.maps:
        raise ValueError("--maps: an ONNX file has no students of its own.")
    plan = Plan(
        window=model.window,
        stride=stride_of(model.window, STRIDE_RATIO),
        batch=job.batch or BATCH,
        warp=job.warp,
        wanted=wanted,
        outlines=job.outlines,
        network=(("weights", file_digest(job.weights)),),
    )
    return OnnxNetwork(model), model.facts.carried, plan


@dataclass
class Outcome:
    """What became of the scenes."""

    made: int = 0
    left: int = 0  # finished before
    failed: dict[str, str] = field(default_factory=dict)  # by scene, why

    def sentence(self) -> str:
        parts = [f"{self.made} scenes predicted", f"{self.left} were finished already"]
        lines = [f"  {scene}: {why}" for scene, why in self.failed.items()]
        return "\n".join([f"{', '.join(parts)}, {len(self.failed)} failed.", *lines])


def predict_here(job: Job, sources: Sequence[Source]) -> Outcome:
    """All scenes of a job in this process."""
    return predict_all(Predictor(job), sources)


def predict_all(predictor: Predictor, sources: Sequence[Source]) -> Outcome:
    """Predict what is not finished, with two progress bars; a scene that fails is told at the end.

    Errors of the program, and a full disk, end the run.
    """
    outcome = Outcome()
    with logging_redirect_tqdm(), tqdm(sources, "scenes", disable=None, position=0) as scenes:
        for source in scenes:
            if predictor.finished(source):
                outcome.left += 1
                continue
            try:
                _predict(predictor, source)
                outcome.made += 1
            except Exception as error:
                if not is_mendable(error) or ends_everything(error):
                    raise
                outcome.failed[source.path] = str(error)
                logger.warning("%s failed: %s", source.path, error)
    return outcome


def _predict(predictor: Predictor, source: Source) -> None:
    with tqdm(desc=source.name, unit="window", disable=None, position=1, leave=False) as windows:

        def seen(done: int, total: int) -> None:
            windows.total = total
            windows.update(done)

        record = predictor.predict(source, seen)
    height, width = record["size"]
    logger.info(
        "%s: %d x %d pixels in %.1f s -> %s",
        *(source.path, height, width, record["seconds"], record["files"][0]),
    )


def ends_everything(error: BaseException) -> bool:
    """Whether an error would meet every other scene, too: the output cannot be written."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
    return full or isinstance(error, NotWritten)
