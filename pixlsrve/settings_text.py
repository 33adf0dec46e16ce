"""Settings files are their owner's: other values go in, and all else that is written there stays as it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, MutableMapping
from typing import Any

from pixlsrve.errors import ConfigError


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """The TOML text with other values, by keys such as `mdns.name`; None takes one out. Raises ConfigError."""
    import tomlkit  # 5 MB and 50 ms, for what happens once a month
    from tomlkit.exceptions import TOMLKitError

    try:
        wanted, document = tomllib.loads(text), tomlkit.parse(text)
        for key, value in values.items():
            _put(wanted, key, value)
            _put(document, key, value)
        changed = document.as_string()
        if tomllib.loads(changed) != wanted:
            raise ValueError(changed)
    except (TOMLKitError, ValueError) as error:
        raise ConfigError(
            f"The settings {', '.join(values)} can't be changed without losing others; edit the file by hand."
        ) from error
    return changed


def _put(document: MutableMapping[str, Any], key: str, value: Any) -> None:
    """Raises ValueError where sections stand in the key's place."""
    section, _, name = key.rpartition(".")
    holder = document.get(section) if section else document
    if value is None:
        if holder is not None:
            holder.pop(name, None)
    elif holder is None:
        document[section] = {name: value}
    elif isinstance(holder.get(name), Mapping):
        raise ValueError(key)
    elif name not in holder or holder[name] != value:
        holder[name] = value
