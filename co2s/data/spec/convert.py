"""From the plain values of YAML to the typed fields of dataclasses, strictly."""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
Convert = Callable[[Any, str], Any]

COLOR = tuple[int, int, int]


def build(kind: type[T], content: Any, where: str, own: Mapping[type, Mapping[str, Convert]]) -> T:
    """An instance of a dataclass from a mapping of YAML.

    Each value is converted to its field's type, or by `own[kind][field](value, where)`. ValueError
    names the key ("labels.map"), what was found and what may stand there.
    """
    place = where or "the file"
    if not isinstance(content, dict):
        raise ValueError(f"{place} must be a mapping, found {content!r}.")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in content if key not in fields)
    if unknown:
        raise ValueError(f"unknown key {unknown} in {place}; known are {sorted(fields)}.")
    given = {key: value for key, value in content.items() if value is not None}
    missing = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and name not in given
    ]
    if missing:
        raise ValueError(f"missing key {missing} in {place}.")
    hints, special = get_type_hints(kind), own.get(kind, {})

    def converted(key: str, value: Any) -> Any:
        inner = f"{where}.{key}" if where else key
        if key in special:
            return special[key](value, inner)
        return convert(value, hints[key], inner, own)

    return kind(**{key: converted(key, value) for key, value in given.items()})


def convert(value: Any, hint: Any, where: str, own: Mapping | None = None) -> Any:
    """The value as the type says: text, numbers, lists, mappings, dataclasses of those."""
    own = own or {}
    if isinstance(hint, types.UnionType):  # X | None: None is told by leaving the key away
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where, own)  # type: ignore[arg-type]
    if hint in _SCALARS:
        return _SCALARS[hint](value, where)
    if hint == COLOR:
        return color(value, where)
    inner = get_args(hint)
    if get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be a mapping, found {value!r}.")
        return {
            convert(key, inner[0], f"the key {key!r} of {where}"): convert(
                one, inner[1], f"{where}.{key}", own
            )
            for key, one in value.items()
        }
    if not isinstance(value, list):
        raise ValueError(f"{where} must be a list, [...], found {value!r}.")
    return tuple(convert(one, inner[0], f"{where}[{n}]", own) for n, one in enumerate(value))


def text(value: Any, where: str) -> str:
    """YAML reads 001, 1_8 and no as something else: only quoted they stay what they are."""
    if not isinstance(value, str):
        hint = "one text, not a list" if isinstance(value, list) else "quote numbers, yes and no"
        raise ValueError(f"{where} must be text ({hint}), found {value!r}.")
    return value


def whole(value: Any, where: str) -> int:
    """An int; 1.0 is one as well."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
        hint = ", without quotes" if isinstance(value, str) and value.strip("-").isdigit() else ""
        raise ValueError(f"{where} must be a whole number{hint}, found {value!r}.")
    return int(value)


def number(value: Any, where: str) -> float:
    """A float, also one that YAML takes for text: nan, "0", -3.4e38."""
    try:
        found = None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = None
    if found is None:
        raise ValueError(
            f"{where} must be a number (.nan for NaN; leave the key away for none), found "
            f"{value!r}."
        )
    return found


def switch(value: Any, where: str) -> bool:
    """A bool; "false" in quotes would count as true."""
    if not isinstance(value, bool):
        raise ValueError(f"{where} must be true or false, without quotes, found {value!r}.")
    return value


def color(value: Any, where: str) -> tuple[int, int, int]:
    """[r, g, b] of 0..255."""
    plain = isinstance(value, list) and len(value) == 3
    if not plain or not all(type(part) is int and 0 <= part <= 255 for part in value):
        raise ValueError(f"{where} must be a colour [r, g, b] of 0..255, found {value!r}.")
    return (value[0], value[1], value[2])


_SCALARS: dict[type, Convert] = {str: text, int: whole, float: number, bool: switch}
