"""HTTPS beside HTTP: which certificate, on which port, and what to say where it can't be had (DESIGN section 9)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from pixlsrve.config import Config
from pixlsrve.errors import ConfigError, StartError, StorageError
from pixlsrve.http.server import HttpServer
from pixlsrve.http.subjects import subjects
from pixlsrve.tls.keeper import AUTHORITY_FILE, Keeper, OwnersKeeper, OwnKeeper

log = structlog.get_logger(__name__)

_SOON = dt.timedelta(days=14)


class Https:
    """The HTTPS listener of one daemon; off until `open` has succeeded.

    `keys_dir` is where the host's own authority is kept, `now` says what time it is. Raises ConfigError when only one
    of http.tls_cert and http.tls_key is set.
    """

    def __init__(self, config: Config, keys_dir: Path, host_name: str, now: Callable[[], dt.datetime]) -> None:
        self._config = config
        self._keys_dir = keys_dir
        self._now = now
        self.port: int | None = None
        """Where it listens; None while it doesn't."""
        self.trouble = ""
        """Why it doesn't although it should: a sentence."""
        self._remedy = ""
        self.keeper = _keeper(config, keys_dir, host_name, now)
        """What it shows; None where HTTPS is switched off."""

    async def open(self, server: HttpServer, port: int) -> None:
        """Serve, at `port` or any free one for 0. What fails is kept as `trouble`, and HTTP goes on alone.

        Raises ConfigError where the owner's certificate can't be used.
        """
        keeper = self.keeper
        if keeper is None:
            return
        try:
            if await asyncio.to_thread(keeper.prepare):
                keeper.load()
            await server.listen_tls(keeper.context, port)
        except StorageError as error:
            self._fail(
                error.message,
                f"Mend the rights of {self._keys_dir}; or move {AUTHORITY_FILE} away and restart: a new authority is "
                "made then, which phones must be given again.",
            )
        except StartError as error:
            self._fail(error.message, "Free the port or set http.tls_port; --no-tls switches HTTPS off.")
        else:
            self.port = server.tls_port

    async def run(self) -> None:
        """Keep the certificate right until cancelled."""
        if self.keeper is not None and self.port is not None:
            await self.keeper.run()
        else:
            await asyncio.Event().wait()

    async def look_again(self) -> None:
        """Take the certificate's files anew where they have changed; what fails is logged, and the old one stays."""
        keeper = self.keeper
        if keeper is None or self.port is None:
            return
        try:
            if await asyncio.to_thread(keeper.prepare):
                keeper.load()
        except (ConfigError, StorageError) as error:
            log.warning("the certificate of HTTPS stays as it is", cause=error.message)

    def status(self) -> dict[str, Any]:
        """What `pixlsrve status --json` shows under `tls`; `fingerprint` is that of the certificate that is shown."""
        keeper = self.keeper
        if keeper is None or self.port is None:
            return {"enabled": False, "reason": self.trouble or "switched off"}
        return {
            "enabled": True,
            "port": self.port,
            "fingerprint": keeper.fingerprint,
            "ca_fingerprint": keeper.authority_fingerprint,
            "expires_at": f"{keeper.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        }

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the certificate that is shown, for the QR code; None without HTTPS."""
        return None if self.keeper is None or self.port is None else self.keeper.fingerprint

    def authority_pem(self) -> bytes | None:
        """The certificate of the host's own authority; None where there is none in use."""
        return None if self.keeper is None or self.port is None else self.keeper.authority_pem()

    def notices(self) -> list[dict[str, str]]:
        """What is wrong, each with its remedy."""
        if self.trouble:
            return [{"message": f"HTTPS is off: {self.trouble}", "remedy": self._remedy}]
        keeper = self.keeper
        if keeper is None or self.port is None:
            return []
        notices = []
        if keeper.uncovered:
            names = ", ".join(sorted(keeper.uncovered))
            notices.append(
                {
                    "message": f"The certificate of HTTPS does not cover {names}.",
                    "remedy": "Give that name a certificate of its own with http.tls_cert and http.tls_key.",
                }
            )
        if keeper.expires_at - self._now() < _SOON:
            notices.append(
                {
                    "message": f"The certificate of HTTPS ends on {keeper.expires_at:%Y-%m-%d}.",
                    "remedy": "Renew it; the files of http.tls_cert and http.tls_key are taken anew by themselves.",
                }
            )
        return notices

    def _fail(self, trouble: str, remedy: str) -> None:
        self.trouble, self._remedy = trouble, remedy
        log.warning("HTTPS is off", cause=trouble, remedy=remedy)


def _keeper(config: Config, keys_dir: Path, host_name: str, now: Callable[[], dt.datetime]) -> Keeper | None:
    """The certificate that the settings ask for. Raises ConfigError."""
    http = config.http
    if not http.tls:
        return None
    if bool(http.tls_cert) != bool(http.tls_key):
        missing = "http.tls_key" if http.tls_cert else "http.tls_cert"
        raise ConfigError(f"{missing} is missing: http.tls_cert and http.tls_key are set together or not at all.")
    if http.tls_cert:
        return OwnersKeeper(Path(http.tls_cert).expanduser(), Path(http.tls_key).expanduser())
    return OwnKeeper(keys_dir, host_name, lambda: subjects(config), now)
