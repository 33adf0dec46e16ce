"""The agent's side of the wire: pairing with a host, its tokens, and the calls that it makes there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog
from yarl import URL

from pixlsrve.devices.agent import state, tls
from pixlsrve.devices.agent.state import Pairing
from pixlsrve.errors import PixlsrveError, StartError
from pixlsrve.outbound import CONNECT_LIMIT_S, LARGEST_ANSWER_BYTES, PROGRESS_LIMIT_S

log = structlog.get_logger(__name__)

EARLY_S = 300.0
"""A token is exchanged so long before it ends, so that long uploads do not outlive it at their start."""
ANSWER_LIMIT_S = 300.0
"""For the answer to an upload: a slow disk takes its time to confirm a large file."""
LARGEST_POSTED_BYTES = 16 * 1024 * 1024
"""Of the answer to a POST: it repeats up to 500 paths of 4,096 characters, and more."""
PAIR_AGAIN = "Run `pixlsrve pair` on the host and start the agent once with --pair CODE."


class HostUnreachable(PixlsrveError):
    """The host does not answer just now."""

    reason = "host_unreachable"


class NotWelcome(PixlsrveError):
    """The host does not know this device any more; only pairing again helps."""

    reason = "not_welcome"


class HostRefused(PixlsrveError):
    """The host answered with an error; `status` is its code."""

    reason = "host_refused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Host:
    """A host that this device is paired with. `base` is where it is called once `find` has found that out."""

    def __init__(self, data_dir: Path, pairing: Pairing) -> None:
        self._data_dir = data_dir
        self.pairing = pairing
        self.base: URL | None = None
        self._ssl: ssl.SSLContext | bool = True
        self._token = ""
        self._token_ends_s = 0.0
        self._is_kept = True
        self._turn = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = open_session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The JSON answer. Raises HostUnreachable, HostRefused, NotWelcome."""
        for is_last in (False, True):
            headers = await self.authorization()
            try:
                return await _exchange(self._opened(), method, await self.url(path), body, headers, self._ssl)
            except HostRefused as error:
                if error.status != 401 or is_last:
                    raise
                self.forget_token()
        raise AssertionError("the loop ends by itself")

    async def upload(self, path: str, chunks: AsyncIterator[bytes], size_bytes: int) -> dict[str, Any]:
        """Send a file as the body; what the host answers. Raises HostUnreachable, HostRefused, NotWelcome."""
        headers = {
            **await self.authorization(),
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size_bytes),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT_S, sock_read=ANSWER_LIMIT_S)
        with _translated():
            async with self._opened().post(
                await self.url(path),
                data=chunks,
                headers=headers,
                ssl=self._ssl,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return _answer(response.status, await _read(response))

    async def authorization(self) -> dict[str, str]:
        """The header that says who we are. Raises HostUnreachable, NotWelcome."""
        async with self._turn:
            if time.monotonic() > self._token_ends_s - EARLY_S:
                await self._refresh()
            elif not self._is_kept:
                await self._keep()
            return {"Authorization": f"Bearer {self._token}"}

    async def url(self, path: str) -> URL:
        """Where a path of the host is. Raises HostUnreachable."""
        if self.base is None:
            await self._find()
        assert self.base is not None  # noqa: S101  # what _find is for
        return self.base.join(URL(path))

    def forget_token(self) -> None:
        """Get another access token before the next call."""
        self._token_ends_s = 0.0

    def forget_base(self) -> None:
        """Find out anew where the host is; it may have come back on another port."""
        self.base = None

    async def _refresh(self) -> None:
        body = {"refresh_token": self.pairing.refresh_token, "device_id": self.pairing.device_id}
        try:
            url = await self.url("/api/v1/auth/token/refresh")
            answer = await _exchange(self._opened(), "POST", url, body, {}, self._ssl)
        except HostRefused as error:
            if error.status in {400, 401, 403}:
                raise NotWelcome(f"The host refuses this device: {error.message} {PAIR_AGAIN}") from error
            raise
        self.pairing.refresh_token = str(answer["refresh_token"])
        # The old one works for some seconds more; the new one must not be lost by whatever comes next.
        await self._keep()
        self._token = str(answer["api_token"])
        self._token_ends_s = time.monotonic() + float(answer["expires_in"])

    async def _keep(self) -> None:
        """Keep the refresh token for the next start; where the disk takes nothing, with the next call."""
        try:
            await asyncio.to_thread(state.save, self._data_dir, self.pairing)
        except StartError as error:
            if self._is_kept:
                log.warning("a restart now would need another pairing", cause=error.message)
            self._is_kept = False
        else:
            self._is_kept = True

    async def _find(self) -> None:
        """Find the host's address as it is today. Raises HostUnreachable."""
        server = URL(self.pairing.server)
        if self.pairing.is_plain:
            self._ssl, self.base = True, server
            return
        context = tls.public() if self.pairing.authority is None else tls.pinned(self.pairing.authority)
        if server.scheme == "http":
            info = await _exchange(self._opened(), "GET", server.join(URL("/api/v1/discovery/info")), None, {}, True)
            if not isinstance(info.get("tls_port"), int):
                raise HostUnreachable(
                    "The host offers no HTTPS any more, which this device was paired with. "
                    f"Switch it on there; or, to go without: {PAIR_AGAIN}"
                )
            server = server.with_scheme("https").with_port(info["tls_port"])
        self._ssl, self.base = context, server

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise HostUnreachable("The agent is about to stop.")
        return self._session


def open_session() -> aiohttp.ClientSession:
    """A client without cookies, proxies, and more than a bounded patience."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_LIMIT_S, sock_read=PROGRESS_LIMIT_S, ceil_threshold=60
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        connector=aiohttp.TCPConnector(limit=0),
    )


async def fetch_json(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    body: object,
    context: ssl.SSLContext | aiohttp.Fingerprint | bool,
) -> dict[str, Any]:
    """The JSON answer of a call without a token. Raises HostUnreachable, HostRefused."""
    return await _exchange(session, method, url, body, {}, context)


async def fetch_bytes(
    session: aiohttp.ClientSession, url: URL, context: ssl.SSLContext | aiohttp.Fingerprint | bool
) -> bytes | None:
    """The body of a GET; None for 404. Raises HostUnreachable, HostRefused."""
    with _translated():
        async with session.get(url, ssl=context, allow_redirects=False) as response:
            content = await _read(response)
            if response.status == 404:
                return None
            if response.status != 200:
                _answer(response.status, content)
            return content


async def _exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    body: object,
    headers: dict[str, str],
    context: ssl.SSLContext | aiohttp.Fingerprint | bool,
) -> dict[str, Any]:
    limit = LARGEST_POSTED_BYTES if method == "POST" else LARGEST_ANSWER_BYTES
    with _translated():
        async with session.request(
            method, url, json=body, headers=headers, ssl=context, allow_redirects=False
        ) as response:
            return _answer(response.status, await _read(response, limit))


async def _read(response: aiohttp.ClientResponse, limit: int = LARGEST_ANSWER_BYTES) -> bytes:
    """The body. Raises HostRefused when it is longer than makes sense."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > limit:
            raise HostRefused(response.status, "The host's answer is too long.")
    return bytes(content)


def _answer(status: int, content: bytes) -> dict[str, Any]:
    """The object that an answer holds. Raises HostRefused."""
    try:
        answer = json.loads(content) if content else {}
    except (ValueError, RecursionError):
        answer = None
    if status < 300 and isinstance(answer, dict):
        return answer
    raise HostRefused(status, _message(answer) or f"The host answered {status}.")


def _message(answer: object) -> str:
    """What an error says, in whichever door's shape."""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error", answer)
    text = error.get("message") if isinstance(error, dict) else error
    return text[:500] if isinstance(text, str) else ""


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raises HostUnreachable for what the client and the system say."""
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch) as error:
        raise HostUnreachable(
            f"The host's certificate is not the one that this device knows. If the host was set up anew: {PAIR_AGAIN}"
        ) from error
    except TimeoutError as error:
        raise HostUnreachable("The host does not answer in time.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise HostUnreachable("The host can't be reached just now.") from error
    except ValueError as error:
        raise StartError("The URL of the server can't be used; it is like http://192.168.1.2:8080.") from error
