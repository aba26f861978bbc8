"""The interface of what judges a model's outputs, and its results as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import comm
from .logger import get_logger


class DatasetEvaluator:
    """Collects inputs and outputs batch by batch and turns them into results at the end."""

    def reset(self) -> None:
        """Forget everything, before a new round."""

    def process(self, inputs: Any, outputs: Any) -> None:
        """Take one batch: the model's inputs and its outputs, item by item in the same order."""

    def evaluate(self) -> Any:
        """The results, {task: {metric: value}}; None where another process has them."""


class DatasetEvaluators(DatasetEvaluator):
    """Several evaluators as one; no two may give the same task."""

    def __init__(self, evaluators: Sequence[DatasetEvaluator]) -> None:
        super().__init__()
        self._evaluators = evaluators

    def reset(self) -> None:
        for evaluator in self._evaluators:
            evaluator.reset()

    def process(self, inputs: Any, outputs: Any) -> None:
        for evaluator in self._evaluators:
            evaluator.process(inputs, outputs)

    def evaluate(self) -> dict[str, Any]:
        results: dict[str, Any] = {}
        for evaluator in self._evaluators:
            result = evaluator.evaluate()
            if not comm.is_main_process() or result is None:
                continue
            for task, values in result.items():
                assert task not in results, (
                    f"Two evaluators give results called '{task}': rename one of them."
                )
                results[task] = values
        return results


def print_csv_format(results: Mapping[str, Any]) -> None:
    """Log the results as lines to copy into a spreadsheet; metrics with "-" in their name stay out.

    `results` is {task: {metric: value}} or {task: value}.
    """
    assert isinstance(results, Mapping) or not results, (
        f"Results must be a dict of tasks, got {type(results).__name__}."
    )
    logger = get_logger("evaluation.testing")
    for task, metrics in (results or {}).items():
        if not isinstance(metrics, Mapping):
            logger.info("copypaste: %s=%s", task, metrics)
            continue
        main = {name: value for name, value in metrics.items() if "-" not in name}
        logger.info("copypaste: Task: %s", task)
        logger.info("copypaste: %s", ",".join(main))
        logger.info("copypaste: %s", ",".join(f"{value:.4f}" for value in main.values()))
