"""The decorator that lets a class be built from explicit arguments or from a cfg."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from fvcore.common.config import CfgNode


def configurable(
    init_func: Callable[..., Any] | None = None,
    *,
    from_config: Callable[..., dict[str, Any]] | None = None,
) -> Any:
    """Translate a call with a cfg into explicit arguments through `from_config(cfg, ...)`.

    On an `__init__` it uses the class's `from_config` classmethod; on a function the one given
    as `@configurable(from_config=...)`. Arguments `from_config` does not take go straight to the
    decorated function. A call without a cfg is left alone.
    """
    if init_func is not None:
        is_init = inspect.isfunction(init_func) and init_func.__name__ == "__init__"
        proper = is_init and from_config is None
        assert proper, "@configurable goes on __init__; a function needs (from_config=...)."
        return _configurable_init(init_func)
    if from_config is None:
        return configurable  # @configurable() is @configurable
    assert inspect.isfunction(from_config), (
        f"@configurable(from_config=...) needs a function, got {type(from_config).__name__}."
    )
    return functools.partial(_configurable_function, from_config)


def _configurable_init(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        if not hasattr(type(self), "from_config"):
            raise AttributeError(f"{name} uses @configurable: give it a classmethod from_config.")
        translate = type(self).from_config
        if not inspect.ismethod(translate):
            raise TypeError(f"{name}.from_config must be a classmethod: add @classmethod.")
        if _has_cfg(args, kwargs):
            init(self, **_explicit(translate, args, kwargs))
        else:
            init(self, *args, **kwargs)

    return wrapped


def _configurable_function(
    from_config: Callable[..., dict[str, Any]], function: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if _has_cfg(args, kwargs):
            return function(**_explicit(from_config, args, kwargs))
        return function(*args, **kwargs)

    wrapped.from_config = from_config  # type: ignore[attr-defined]
    return wrapped


def _has_cfg(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    # from_config takes the cfg first, so it stands first or is named.
    return isinstance(args[0] if args else kwargs.get("cfg"), CfgNode)


def _explicit(
    from_config: Callable[..., dict[str, Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    parameters = inspect.signature(from_config).parameters
    if next(iter(parameters), None) != "cfg":
        raise TypeError(f"{from_config.__qualname__} must take 'cfg' as its first argument.")
    kinds = {parameter.kind for parameter in parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return from_config(*args, **kwargs)
    taken = {key: value for key, value in kwargs.items() if key in parameters}
    passed_on = {key: value for key, value in kwargs.items() if key not in parameters}
    return {**from_config(*args, **taken), **passed_on}
