"""The settings for admins: each with where it comes from and what edits it, and changing those for a page."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web

from pixlsrve.config import Config, Layers, settle
from pixlsrve.errors import ConfigError, Conflict
from pixlsrve.http.hosts import Hosts, name_of
from pixlsrve.model import Principal
from pixlsrve.settings import Check, Control, Source, Sources, change, differing, entries, source_of, write
from pixlsrve.wg.dns.resolvers import parse_setting
from pixlsrve.wg.endpoint import parse_endpoint

log = structlog.get_logger(__name__)

_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NAMES_OF_OURS = frozenset({"http.hosts", "http.public_url", "mdns.enabled"})
"""The settings that say which Host headers are ours."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting: its value, what it is when nobody says anything, who says it, and what edits it.

    `control` is null where it is changed on the host only; what the environment or the start's options say can't be
    changed on a page either.
    """

    key: str
    value: Any
    default: Any
    source: Source
    control: Control | None


class SettingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting. `reloading`: the host begins anew with these values just now, which takes it some seconds.

    `needs_restart` names the keys that wait for a restart, and `trouble` says why, where the settings can't be used.
    """

    settings: list[Setting]
    reloading: bool = False
    needs_restart: list[str] = []
    trouble: str = ""


class SettingsDesk:
    """Answers from the settings in force, `config`, and from what their `sources` say by now.

    `reload` has the process take new settings, as SIGHUP does. `names` are the host's names with given settings.
    """

    def __init__(
        self, config: Config, sources: Sources, *, reload: Callable[[], None], names: Callable[[Config], list[str]]
    ) -> None:
        self._config = config
        self._sources = sources
        self._reload = reload
        self._names = names
        self._changing = asyncio.Lock()

    async def show(self) -> SettingsAnswer:
        """The settings in force."""
        try:
            layers, coming = await asyncio.to_thread(self._read)
        except ConfigError as error:
            return SettingsAnswer(settings=_shown(self._config, None), trouble=error.message)
        return SettingsAnswer(settings=_shown(self._config, layers), needs_restart=differing(self._config, coming))

    async def change(self, changes: Mapping[str, Any], by: Principal, host: str) -> SettingsAnswer:
        """Save other values, all of them or none, and have them taken; a null takes a change back.

        `host` is the name under which the page is open. Raises InvalidInput, NotPermitted, Conflict, StorageFull,
        StorageError.
        """
        async with self._changing:
            layers, coming = await asyncio.to_thread(self._save, changes, host)
        log.info("settings were changed", changes=dict(changes), by=by.id)
        waiting = differing(self._config, coming)
        if waiting and coming.data_dir == self._config.data_dir:
            self._reload()
            return SettingsAnswer(settings=_shown(coming, layers), reloading=True)
        return SettingsAnswer(settings=_shown(self._config, layers), needs_restart=waiting)

    def _read(self) -> tuple[Layers, Config]:
        """What the sources say now, and what comes of it. Raises ConfigError."""
        layers = self._sources.layers()
        return layers, settle(layers)

    def _save(self, changes: Mapping[str, Any], host: str) -> tuple[Layers, Config]:
        """The settings after the change. Raises like `change`."""
        try:
            layers = self._sources.layers()
        except ConfigError as error:
            raise Conflict(error.message, reason="bad_settings") from error
        layers = change(layers, changes, CHECKS)
        coming = settle(layers)
        if _NAMES_OF_OURS & changes.keys() and not Hosts(self._names(coming)).is_ours(host):
            raise Conflict(
                f"This page is open under the name {host[:100]}, which would be unknown then; open it at the host's "
                "address, and change it there.",
                reason="would_lock_out",
            )
        write(layers)
        return layers, coming


def _shown(config: Config, layers: Layers | None) -> list[Setting]:
    """Each setting; without layers nobody knows where it comes from, and nothing can be changed."""
    return [
        Setting(
            key=entry.key,
            value=entry.value,
            default=entry.default,
            source=source_of(entry.key, layers) if layers else Source.DEFAULT,
            control=entry.control if layers else None,
        )
        for entry in entries(config)
    ]


def _check_hosts(config: Config) -> None:
    """Raises ConfigError for what can be no host's name."""
    for host in config.http.hosts:
        if not _is_host(name_of(host) or ""):
            raise ConfigError(
                f"The setting http.hosts has the bad value {host!r}: list names such as photos.example.org; "
                "write others than ASCII letters as browsers send them (xn--...)."
            )


def _check_public_url(config: Config) -> None:
    """Raises ConfigError for what is no address of a page."""
    text = config.http.public_url
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in {"http", "https"} and _is_host(parts.hostname or "") and parts.port != 0
        is_good = is_good and parts.username is None and not (parts.query or parts.fragment) and " " not in text
    except ValueError:
        is_good = False
    if text and not is_good:
        raise ConfigError(
            f"The setting http.public_url has the bad value {text!r}: write an address such as "
            "https://photos.example.org, or nothing."
        )


def _is_host(name: str) -> bool:
    """Whether it is an address, or a name that a certificate can hold."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return _HOST_NAME.fullmatch(name) is not None
    return True


CHECKS: Mapping[str, Check] = {
    "http.hosts": _check_hosts,
    "http.public_url": _check_public_url,
    "wireguard.endpoint": lambda config: parse_endpoint(config.wireguard.endpoint, config.wireguard.port),
    "dns.upstream": lambda config: parse_setting(config.dns.upstream),
}
"""What settings must be beside of their types, so that the next start takes them."""

SETTINGS_DESK = web.AppKey("settings_desk", SettingsDesk)
"""The settings."""
