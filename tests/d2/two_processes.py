"""Two processes over gloo; test_d2_launch runs this file and judges what it writes.

A script of its own: spawned processes import their function from the file that was started.
usage: two_processes.py {lite,detectron2} <folder>
"""

import ctypes
import itertools
import json
import os
import sys
import types
from pathlib import Path

import torch

# co2s.d2 alone: importing all of co2s three times would take most of the time.
package = types.ModuleType("co2s")
package.__path__ = [str(Path(__file__).parents[2] / "co2s")]
sys.modules["co2s"] = package

SOURCE, FOLDER = sys.argv[1], Path(sys.argv[2])
os.environ["CO2S_D2"] = SOURCE

from co2s import d2  # noqa: E402


class Model(torch.nn.Linear):
    def forward(self, batch):
        out = super().forward(torch.full((1, 1), batch))
        return {"loss_a": (out**2).mean(), "loss_b": torch.tensor(batch)}


def talk(words):
    """What the exchange of objects gives on this rank."""
    rank = d2.comm.get_rank()
    d2.comm.synchronize()
    reduced = d2.comm.reduce_dict({"b": torch.tensor(rank + 1.0), "a": torch.tensor(4.0 * rank)})
    sampler = d2.TrainingSampler(5)
    return {
        "words": words,
        "ranks": [
            rank,
            d2.comm.get_world_size(),
            d2.comm.get_local_rank(),
            d2.comm.get_local_size(),
        ],
        "main": d2.comm.is_main_process(),
        "all_gather": d2.comm.all_gather({"rank": rank}),
        "gather": d2.comm.gather(rank),
        "gather_to_1": d2.comm.gather(rank, dst=1),
        "reduced": {name: value.item() for name, value in reduced.items()} if rank == 0 else None,
        "seed": d2.comm.shared_random_seed(),
        "inference": list(d2.InferenceSampler(7)),
        "training": list(itertools.islice(sampler, 5)),
        "evaluated": evaluate(),
    }


def evaluate():
    class Count(d2.DatasetEvaluator):
        def reset(self):
            self.seen = 0

        def process(self, inputs, outputs):
            self.seen += len(outputs)

        def evaluate(self):
            seen = d2.comm.gather(self.seen)
            return {"count": sum(seen)} if d2.comm.is_main_process() else None

    shares = [[i] for i in d2.InferenceSampler(7)]
    return d2.inference_on_dataset(lambda batch: batch, shares, Count())


def train():
    """A DistributedDataParallel model on data that differ between the ranks."""
    torch.manual_seed(0)
    # detectron2 gives device ids to models on the CPU, which DistributedDataParallel refuses.
    options = {} if SOURCE == "lite" else {"device_ids": None}
    model = d2.create_ddp_model(Model(1, 1), **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rank = d2.comm.get_rank()
    trainer = d2.SimpleTrainer(model, itertools.repeat(1.0 + rank), optimizer)
    checkpointer = d2.DetectionCheckpointer(model, str(FOLDER), trainer=trainer)
    trainer.register_hooks([d2.hooks.PeriodicCheckpointer(checkpointer, 100)])
    trainer.train(0, 2)
    loaded = Model(1, 1)
    d2.comm.synchronize()
    wrapped = d2.create_ddp_model(loaded, **options)
    d2.DetectionCheckpointer(wrapped).load(str(FOLDER / "model_final.pth"))
    return {
        "wrapped": type(model).__name__,
        "weight": model.module.weight.item(),
        "loaded": loaded.weight.item(),
        "stored": {name: value for name, (value, _) in trainer.storage.latest().items()},
    }


def work(*words):
    result = {**talk(words), "train": train()}
    (FOLDER / f"rank{d2.comm.get_rank()}.json").write_text(json.dumps(result))
    if SOURCE == "lite":
        # As a library does at its end whose threads still run: it must fail no process by then.
        libc = ctypes.CDLL(None)
        libc.__cxa_atexit(ctypes.cast(libc.abort, ctypes.c_void_p), None, None)


def fail():
    if d2.comm.get_rank() == 1:
        raise ValueError("rank 1 fails on purpose")
    d2.comm.synchronize()  # waits for rank 1, until launch ends it


def main():
    d2.launch(work, 2, dist_url="auto", args=("a", "b"))
    if SOURCE == "detectron2":
        return  # Starting processes takes seconds; how ours fail is what matters.
    try:
        d2.launch(fail, 2, dist_url="auto")
    except Exception as error:
        (FOLDER / "failure.txt").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
