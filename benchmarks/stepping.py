"""One variant of the training step, in a process of its own."""

from multiprocessing.connection import Connection
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from co2s.d2 import EventStorage, build_model
from co2s.engine import load_cfg
from co2s.engine.step import Stepper, build_scaler
from co2s.layers import QuickGELU, SameConv2d, choose_products
from co2s.modeling.meta_arch.partners import DrawnPartners
from co2s.semi import cutmix_box
from co2s.solver import build_optimizer

from .load import peak_memory

BATCHES = 8  # made-up batches, which differ in their CutMix boxes
SIDE = 2048  # of the matrices whose product shows the sustained rate


class WorkerSettings(NamedTuple):
    """What is measured; the fields are the benchmark's options."""

    variant: str
    precision: str
    checkpointing: str
    compile: bool
    method: str
    backbone: str
    resolution: int
    batch: int
    classes: int
    device: str
    config_file: str
    opts: tuple[str, ...]

    def options(self) -> list[Any]:
        """As KEY VALUE pairs; the user's come last and count."""
        partner = "previous" if self.batch == 1 else "rolled"
        keys: dict[str, Any] = {
            "MODEL.META_ARCHITECTURE": self.method,
            "MODEL.NUM_CLASSES": self.classes,
            "MODEL.NUM_BANDS": 3,
            "MODEL.DEVICE": self.device,
            "MODEL.ACTIVATION_CHECKPOINTING": self.checkpointing,
            "MODEL.COMPILE": self.compile,
            "INPUT.CROP_SIZE": self.resolution,
            "SOLVER.IMS_PER_BATCH": self.batch,
            "SOLVER.AMP.ENABLED": self.precision != "fp32",
            "SOLVER.MAX_ITER": 1000,
            "CPU_MATMUL": "torch" if self.variant == "plain" else "auto",
            "DATALOADER.CUTMIX_PARTNER": partner if self.variant == "fastest" else "other",
        }
        keys |= {f"MODEL.{m}.THRESHOLD": 0.0 for m in ("CO2S", "UNIMATCH", "FIXMATCH")}
        if self.precision != "fp32":
            keys["SOLVER.AMP.DTYPE"] = self.precision
        if self.backbone:
            keys["MODEL.LOCAL.BACKBONE.MODEL"] = self.backbone
        return [part for pair in keys.items() for part in pair] + list(self.opts)


def work(settings: WorkerSettings, pipe: Connection) -> None:
    """Answer "step" by (wall, CPU) seconds of one, "facts" by operations and memory."""
    try:
        stepper = build(settings)
        answers = {"step": lambda: timed_step(stepper), "facts": lambda: facts(settings, stepper)}
        with EventStorage(500) as stepper.storage:
            while True:
                pipe.send(answers[pipe.recv()]())
    except EOFError:
        return  # the benchmark is through
    except Exception as error:  # raised where the user sees it
        pipe.send(error)


def build(settings: WorkerSettings) -> Stepper:
    if settings.variant == "plain":
        make_plain()
    cfg = load_cfg(settings.config_file, settings.options())
    choose_products(cfg.CPU_MATMUL)
    torch.manual_seed(0)
    model = build_model(cfg).train()
    optimizer = build_optimizer(cfg, model)
    if settings.variant == "plain":
        for group in optimizer.param_groups:
            group["fused"], group["foreach"] = False, cfg.MODEL.DEVICE.startswith("cuda")
    views = type(model).views(cfg)
    batches = [
        made_batch(settings, number, views is not None and views.draws_partner)
        for number in range(BATCHES)
    ]
    endless = (batches[number % BATCHES] for number in range(10**9))
    return Stepper(model, model, endless, optimizer, scaler=build_scaler(cfg))


def make_plain() -> None:
    """Undo, in this process, what makes the step cheaper: the same mathematics, written plainly."""
    SameConv2d.forward = nn.Conv2d.forward  # type: ignore[method-assign]
    QuickGELU.forward = lambda self, x: x * torch.sigmoid(1.702 * x)  # type: ignore[method-assign]
    DrawnPartners.logits = (  # type: ignore[method-assign]
        lambda self, name, predict, u, weak: predict(u.partner)
    )


def made_batch(settings: WorkerSettings, seed: int, with_partner: bool) -> Any:
    """Random pixels and classes, and a CutMix box in every view (in training in every other)."""
    rng = np.random.default_rng(seed)
    size = settings.resolution

    def pixels(*shape: int) -> Tensor:
        return torch.from_numpy(rng.integers(0, 256, (*shape, size, size), dtype=np.uint8))

    def item() -> dict[str, Any]:
        boxes = np.stack([cutmix_box(size, size, rng, probability=1.0) for _ in range(2)])
        return {
            "image": pixels(3),
            "strong": pixels(2, 3),
            "valid": torch.ones(size, size, dtype=torch.bool),
            "cutmix": torch.from_numpy(boxes),
            "seed": int(rng.integers(2**31)),
        }

    unlabeled = [item() for _ in range(settings.batch)]
    if with_partner:
        for one in unlabeled:
            one["partner"] = item()
    labeled = [
        {"image": pixels(3), "sem_seg": pixels() % settings.classes} for _ in range(settings.batch)
    ]
    return {"labeled": labeled, "unlabeled": unlabeled}


def timed_step(stepper: Stepper) -> tuple[float, float]:
    wall, cpu = perf_counter(), process_time()
    stepper.run_step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - wall, process_time() - cpu


def facts(settings: WorkerSettings, stepper: Stepper) -> dict[str, Any]:
    """Peak memory so far, then the operations of one more step, and what products reach here."""
    cuda = settings.device.startswith("cuda")
    memory = torch.cuda.max_memory_allocated() / 1e9 if cuda else peak_memory()
    with FlopCounterMode(display=False) as counter:
        stepper.run_step()
    name = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    return {
        "on": name,
        "peak_gb": round(memory, 3),
        "gflop_per_step": round(counter.get_total_flops() / 1e9, 1),
        "matmul_gflop_per_s": round(matmul_rate(settings), 1),
    }


def matmul_rate(settings: WorkerSettings) -> float:
    """Gflop/s of a large product in the variant's precision, the best of five."""
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    a = torch.randn(SIDE, SIDE, device=settings.device, dtype=types[settings.precision])
    seconds = []
    for _ in range(6):
        start = perf_counter()
        a @ a
        if a.is_cuda:
            torch.cuda.synchronize()
        seconds.append(perf_counter() - start)
    return 2 * SIDE**3 / min(seconds[1:]) / 1e9
