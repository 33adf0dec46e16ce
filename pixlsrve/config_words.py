"""What is said of a setting that is wrong: its key, its value, and what would be allowed."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

_UNKNOWN = re.compile(r"unknown field `(.+)`")
_MISSING = re.compile(r"missing required field `(.+)`")
_SECRET = re.compile("secret|passw|token|key", re.IGNORECASE)
"""Names of unknown settings whose values may be what belongs into a file of its own, and not into the log."""
_PATTERNS = {
    "^(off|": '"off", or a number per second, minute, hour or day, such as "60/minute"',
    "^[A-Za-z0-9_=+.-]{1,15}$": "1 to 15 letters, digits and _=+.-",
}
"""Beginnings of the patterns that settings have, in words."""


def explain(message: str, merged: Mapping[str, Any], kind: type[msgspec.Struct]) -> str:
    """msgspec's message about `merged`, which was to become a `kind`, as one sentence for the owner."""
    what, _, where = message.partition(" - at `")
    keys, value, found = _follow(re.findall(r"\[\.\.\.\]|[^.\[\]$`]+", where), merged, inspect.type_info(kind))
    if unknown := _UNKNOWN.search(what):
        names = ", ".join(_names(found))
        given = value.get(unknown[1])
        is_told = isinstance(given, str | int | float) and not _SECRET.search(unknown[1])
        told = f" ({reprlib.repr(given)})" if is_told else ""
        return f"Unknown setting {'.'.join([*keys, unknown[1]])}{told}; allowed here are: {names}."
    if missing := _MISSING.search(what):
        return f"The setting {'.'.join([*keys, missing[1]])} is missing; it takes {_missing(found, missing[1])}."
    return f"The setting {'.'.join(keys)} has the bad value {value!r}; it takes {allowed(found)}."


def allowed(kind: inspect.Type) -> str:
    """What a setting of this type takes, in words."""
    match kind:
        case inspect.Metadata():
            return allowed(kind.type)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            number = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            return number if kind.ge is None or kind.le is None else f"{number} from {kind.ge} to {kind.le}"
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in kind.values)
        case inspect.StrType():
            return next((words for start, words in _PATTERNS.items() if (kind.pattern or "").startswith(start)), "text")
        case inspect.ListType():
            return 'a list of texts, such as ["one", "two"]'
        case _:
            return f"a section with: {', '.join(_names(kind))}"


def _follow(path: list[str], value: Any, kind: inspect.Type) -> tuple[list[str], Any, inspect.Type]:
    """The keys, the value and the type at `path`; `[...]` in it stands for whichever member is the wrong one."""
    keys: list[str] = []
    for step in path:
        kind = kind.type if isinstance(kind, inspect.Metadata) else kind
        if isinstance(kind, inspect.DictType):
            name = next((name for name, member in value.items() if not _is_good(member, kind.value_type)), step)
            keys, value, kind = [*keys, name], value.get(name), kind.value_type
        elif isinstance(kind, inspect.StructType) and isinstance(value, Mapping):
            keys, value, kind = [*keys, step], value.get(step), _field(kind, step)
        else:
            break  # a member of a list: the whole list is shown
    return keys, value, kind


def _is_good(member: Any, kind: inspect.Type) -> bool:
    if not isinstance(kind, inspect.StructType):
        return True
    try:
        msgspec.convert(member, kind.cls, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def _field(kind: inspect.StructType, name: str) -> inspect.Type:
    return next((field.type for field in kind.fields if field.name == name), inspect.AnyType())


def _missing(kind: inspect.Type, name: str) -> str:
    return allowed(_field(kind, name)) if isinstance(kind, inspect.StructType) else "text"


def _names(kind: inspect.Type) -> list[str]:
    """The settings in a section."""
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    kind = kind.value_type if isinstance(kind, inspect.DictType) else kind
    return [field.name for field in kind.fields] if isinstance(kind, inspect.StructType) else []
