"""The settings as the gallery sees them: where each comes from, which may be changed there, and the file that keeps it.

Changes go to `DATA_DIR/settings.toml`, above the settings file and below the environment (DESIGN section 9).
"""

from __future__ import annotations

import copy
import errno
import os
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import inspect

from pixlsrve import config as configuration
from pixlsrve.config import SETTINGS_FILE, Config, Layers
from pixlsrve.errors import ConfigError, Conflict, InvalidInput, NotPermitted, StorageError, StorageFull
from pixlsrve.settings_text import with_values
from pixlsrve.store.durable import write_whole

CHANGEABLE = frozenset(
    {
        "rescan_interval_s",
        "http.hosts",
        "http.public_url",
        "http.thumbnail_cache",
        "rate_limits.photos",
        "rate_limits.browse",
        "rate_limits.thumbnails",
        "rate_limits.search",
        "rate_limits.uploads",
        "accounts.registration",
        "mdns.enabled",
        "mdns.name",
        "wireguard.endpoint",
        "wireguard.port_mapping",
        "dns.enabled",
        "dns.upstream",
        "uploads.quota_mb",
        "uploads.reserve_mb",
        "log.level",
    }
)
"""What an admin's browser may change. Whoever steals its session must win nothing of the host by it: no folder, file,
program, address to listen on or network behind the tunnel, and no limit of guessing; nor may a slip shut everybody out
(docs/configuration.md)."""
TEXT_MAX, ITEMS_MAX = 1_000, 100
_SHOWN = 100
_HEAD = (
    "# Changed in the gallery. Above the settings file, below the environment; docs/configuration.md has every key.\n"
)
Check = Callable[[Config], object]
"""What a part of the program says to its settings beyond their types. Raises ConfigError."""


class Source(StrEnum):
    """Who says what a setting is, the weakest first."""

    DEFAULT = "default"
    FILE = "file"
    PAGE = "page"
    ENVIRONMENT = "environment"
    OPTIONS = "options"


class Control(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a setting takes. `choices` are of a choice, `minimum` and `maximum` of a number."""

    kind: Literal["switch", "number", "text", "list", "choice", "rate"]
    choices: list[str] = []
    minimum: int | None = None
    maximum: int | None = None

    def allowed(self) -> str:
        """The same in words."""
        if self.kind == "number":
            return f"a whole number from {self.minimum} to {self.maximum}"
        return f"one of {', '.join(self.choices)}" if self.kind == "choice" else _WORDS[self.kind]


_WORDS = {
    "switch": "true or false",
    "text": f"text of at most {TEXT_MAX} characters",
    "list": f"a list of at most {ITEMS_MAX} texts",
    "rate": '"off", or a number per second, minute, hour or day, such as "60/minute"',
}


class Entry(NamedTuple):
    """One key of the settings with its value."""

    key: str
    value: Any
    default: Any
    control: Control | None
    """None where it is none of those that a page could edit."""


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where the process was told to look for its settings; the arguments of `config.load`."""

    flags: Mapping[str, Any] = {}
    file: Path | None = None
    env: Mapping[str, str] = os.environ

    def load(self) -> Config:
        """The settings as they are now. Raises ConfigError."""
        return configuration.settle(self.layers())

    def layers(self) -> Layers:
        """What each source says now. Raises ConfigError."""
        return configuration.read_layers(flags=self.flags, file=self.file, env=self.env)


def entries(config: Config) -> Iterator[Entry]:
    """Every setting but those of login providers, in the order of docs/configuration.md."""
    return _entries(config, "")


def _entries(section: msgspec.Struct, prefix: str) -> Iterator[Entry]:
    below = []
    for field in msgspec.structs.fields(section):
        value, key = getattr(section, field.name), prefix + field.name
        if isinstance(value, msgspec.Struct):
            below.append((value, f"{key}."))
        elif not isinstance(value, dict):
            default = None if field.default is msgspec.NODEFAULT else field.default
            if field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            yield Entry(key, value, default, _control(field.type) if key in CHANGEABLE else None)
    for struct, name in below:
        yield from _entries(struct, name)


def _control(type_: Any) -> Control:
    """What edits a setting of this type."""
    if type_ == configuration.Rate:
        return Control("rate")
    found = inspect.type_info(type_)
    if isinstance(found, inspect.LiteralType):
        return Control("choice", choices=[str(value) for value in found.values])
    if isinstance(found, inspect.IntType):
        return Control("number", minimum=found.ge, maximum=found.le)
    if isinstance(found, inspect.ListType):
        return Control("list")
    return Control("switch" if isinstance(found, inspect.BoolType) else "text")


def source_of(key: str, layers: Layers) -> Source:
    """The strongest layer that says something about a key."""
    strongest_first = (
        (Source.OPTIONS, layers.options),
        (Source.ENVIRONMENT, layers.environment),
        (Source.PAGE, layers.page),
        (Source.FILE, layers.file),
    )
    return next((source for source, layer in strongest_first if _find(layer, key) is not None), Source.DEFAULT)


def differing(one: Config, other: Config) -> list[str]:
    """The keys whose values are not the same."""
    pairs = zip(entries(one), entries(other), strict=True)
    return [here.key for here, there in pairs if here.value != there.value]


def change(layers: Layers, changes: Mapping[str, Any], checks: Mapping[str, Check]) -> Layers:
    """The layers with other values in the page's; None takes a key out of it. Nothing is written.

    Raises NotPermitted for a key that is not for the page, InvalidInput for a bad value, whose details name key, value
    and what is allowed, and Conflict for one that is said elsewhere, or where the settings can't be used as they are.
    """
    try:
        now = {entry.key: entry for entry in entries(configuration.settle(layers))}
    except ConfigError as error:
        raise Conflict(f"The settings as they are can't be used: {error.message}", reason="bad_settings") from error
    for key, value in changes.items():
        _check_may(key, layers, now)
        layers = _changed(layers, key, value, now[key].control, checks.get(key))
    return layers


def _check_may(key: str, layers: Layers, now: Mapping[str, Entry]) -> None:
    """Raises InvalidInput, NotPermitted, Conflict."""
    if key not in now:
        raise InvalidInput(f"There is no setting {key[:_SHOWN]}.", reason="invalid_setting", key=key[:_SHOWN])
    if key not in CHANGEABLE:
        raise NotPermitted(
            f"The setting {key} is changed on the host itself: in its settings file.", reason="not_changeable", key=key
        )
    source = source_of(key, layers)
    if source in (Source.ENVIRONMENT, Source.OPTIONS):
        where = f"the environment ({_variable(key)})" if source is Source.ENVIRONMENT else "the options of the start"
        raise Conflict(
            f"The setting {key} is said by {where}, which wins over the page; change it there.",
            reason="overridden",
            key=key,
            source=source,
        )


def _changed(layers: Layers, key: str, value: Any, control: Control | None, check: Check | None) -> Layers:
    """One key changed. Raises InvalidInput."""
    trial = _with(layers, key, value)
    allowed = control.allowed() if control else ""
    try:
        config = configuration.settle(trial)
    except ConfigError as error:
        sentence = f"The setting {key} has the bad value {_shown(value)!r}; it takes {allowed}."
        raise _refusal(sentence, key, value, allowed) from error
    if check is not None and value is not None:
        try:
            check(config)
        except ConfigError as error:
            raise _refusal(error.message, key, value, allowed) from error
    if value is None:
        return trial
    settled = next(entry.value for entry in entries(config) if entry.key == key)  # 5 where "5" was sent
    texts = settled if isinstance(settled, list) else [settled] if isinstance(settled, str) else []
    if len(texts) > ITEMS_MAX or any(len(text) > TEXT_MAX or not text.isprintable() for text in texts):
        raise _refusal(f"The setting {key} is too long, or holds invisible characters.", key, value, allowed)
    return _with(layers, key, settled)


def _refusal(message: str, key: str, value: Any, allowed: str) -> InvalidInput:
    return InvalidInput(message, reason="invalid_setting", key=key, value=_shown(value), allowed=allowed)


def _shown(value: Any) -> Any:
    """A value as it is told back: not all of a long one."""
    return value if isinstance(value, bool | int | float) else str(value)[:_SHOWN]


def write(layers: Layers) -> None:
    """Make the page's layer durable in the data directory: all of it or nothing, for its user alone. Blocks.

    What a person wrote beside the changed keys stays. Raises Conflict, StorageFull, StorageError.
    """
    path = layers.data_dir / SETTINGS_FILE
    try:
        old = path.read_text("utf-8") if path.is_file() else _HEAD
        text = with_values(old, {key: _find(layers.page, key) for key in sorted(CHANGEABLE)})
        write_whole(path, text.encode())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("There is no room for the settings on the disk of the data directory.") from error
        raise StorageError(f"The settings can't be written: {error.strerror}.") from error
    except (ConfigError, UnicodeDecodeError) as error:
        raise Conflict(
            f"{SETTINGS_FILE} in the data directory can't be changed without losing other settings; "
            "edit it by hand, or remove it.",
            reason="bad_settings",
        ) from error


def _with(layers: Layers, key: str, value: Any) -> Layers:
    """Another value of a key in the page's layer; None for none."""
    page = copy.deepcopy(layers.page)
    *sections, name = key.split(".")
    holder = page
    for section in sections:
        holder = holder.setdefault(section, {})
    if value is None:
        holder.pop(name, None)
    else:
        holder[name] = value
    return msgspec.structs.replace(layers, page=page)


def _find(layer: Any, key: str) -> Any:
    """What a layer says about a key; None for nothing."""
    for name in key.split("."):
        layer = layer.get(name) if isinstance(layer, Mapping) else None
    return layer


def _variable(key: str) -> str:
    """The environment variable of a key."""
    return "PIXLSRVE_" + key.upper().replace(".", "__")
