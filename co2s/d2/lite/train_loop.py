"""The training loop and the hooks it calls."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from .events import EventStorage
from .logger import get_logger

_logger = get_logger("engine.train_loop")


class HookBase:
    """Something done around the steps of training; the trainer calls these methods in order."""

    # A weak reference, set by TrainerBase.register_hooks. Any: what a hook may use of its trainer
    # (model, optimizer, ...) depends on the trainer.
    trainer: Any = None

    def before_train(self) -> None:
        """Before the first iteration."""

    def after_train(self) -> None:
        """After the last iteration, also when training failed."""

    def before_step(self) -> None:
        """Before each iteration; should take no time worth measuring."""

    def after_backward(self) -> None:
        """After the gradients are there, before the optimizer uses them."""

    def after_step(self) -> None:
        """After each iteration."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint should keep; a hook that returns something needs `load_state_dict`."""
        return {}


class TrainerBase:
    """A loop over iterations with hooks; a subclass says in `run_step` what an iteration is.

    `iter` is the current iteration, and equals `max_iter` once training has succeeded.
    """

    def __init__(self) -> None:
        self._hooks: list[HookBase] = []
        self.iter: int = 0
        self.start_iter: int = 0
        self.max_iter: int
        self.storage: EventStorage

    def register_hooks(self, hooks: Sequence[HookBase | None]) -> None:
        """Append hooks, which run in this order; None entries are left out."""
        for hook in hooks:
            if hook is None:
                continue
            assert isinstance(hook, HookBase), (
                f"A hook must be a HookBase, got {type(hook).__name__}: derive it from HookBase."
            )
            # Weak: a trainer and its hooks must not keep each other alive.
            hook.trainer = weakref.proxy(self)
            self._hooks.append(hook)

    def train(self, start_iter: int, max_iter: int) -> None:
        """Run iterations `start_iter` to `max_iter - 1`."""
        _logger.info("Starting training from iteration %d", start_iter)
        self.iter = self.start_iter = start_iter
        self.max_iter = max_iter
        with EventStorage(start_iter) as self.storage:
            try:
                self.before_train()
                for self.iter in range(start_iter, max_iter):
                    self.before_step()
                    self.run_step()
                    self.after_step()
                # after_train tells success from failure by iter == max_iter.
                self.iter += 1
            except Exception:
                _logger.exception("Exception during training:")
                raise
            finally:
                self.after_train()

    def before_train(self) -> None:
        for hook in self._hooks:
            hook.before_train()

    def after_train(self) -> None:
        self.storage.iter = self.iter
        for hook in self._hooks:
            hook.after_train()

    def before_step(self) -> None:
        self.storage.iter = self.iter
        for hook in self._hooks:
            hook.before_step()

    def after_backward(self) -> None:
        for hook in self._hooks:
            hook.after_backward()

    def after_step(self) -> None:
        for hook in self._hooks:
            hook.after_step()

    def run_step(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} must say in run_step what a step is.")

    def state_dict(self) -> dict[str, Any]:
        """The iteration and the state of the hooks, by class name (the first of each class)."""
        hooks: dict[str, Any] = {}
        for hook in self._hooks:
            state = hook.state_dict()
            if state:
                hooks.setdefault(type(hook).__qualname__, state)
        return {"iteration": self.iter, **({"hooks": hooks} if hooks else {})}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.iter = state_dict["iteration"]
        for name, state in state_dict.get("hooks", {}).items():
            hook: Any = next((h for h in self._hooks if type(h).__qualname__ == name), None)
            if hook is None:
                _logger.warning("The state of hook '%s' is ignored: no such hook here.", name)
            else:
                hook.load_state_dict(state)
