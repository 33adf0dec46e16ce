"""Calls to the outside that the owner asked for: to the named place only, patient for a bounded time (THREATS T24).

`Outbound` asks login providers; `DeviceCalls` asks the mini-servers of devices.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from pixlsrve.errors import Unavailable

CONNECT_LIMIT_S = 5.0
SILENCE_LIMIT_S = 10.0
TOTAL_LIMIT_S = 20.0
LARGEST_ANSWER_BYTES = 64 * 1024
PROGRESS_LIMIT_S = 30.0
"""How long a device may say nothing while it is asked for something."""
_FAILED = "The login provider can't be reached just now; try again in a moment."
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pixlsrve"}


class Outbound:
    """An HTTP client that follows no redirects, keeps no cookies, heeds no proxy variables and reads 64 KiB at most."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._authorities: ssl.SSLContext | None = None
        """The system's; read at the first call, which takes longer than many a start."""

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=TOTAL_LIMIT_S, sock_connect=CONNECT_LIMIT_S, sock_read=SILENCE_LIMIT_S, ceil_threshold=60
        )
        self._session = aiohttp.ClientSession(
            timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(
        self, url: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object that a GET answers. Raises Unavailable, and Refused for a 4xx."""
        return await self._call("GET", url, headers, params=query)

    async def post(
        self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object that the POST of a form answers. Raises Unavailable, and Refused for a 4xx."""
        return await self._call("POST", url, headers, data=form)

    async def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of whatever answers, for a device of the household. Raises Unavailable."""
        if self._session is None:
            raise Unavailable("The daemon is about to stop.")
        try:
            async with self._session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                content = await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable("The device does not answer as it should.", reason="device_unreachable") from error
        return response.status, dict(response.headers), content.decode("utf-8", "replace")

    async def _trusting(self) -> ssl.SSLContext:
        if self._authorities is None:
            self._authorities = await asyncio.to_thread(ssl.create_default_context)
        return self._authorities

    async def _call(self, method: str, url: str, headers: Mapping[str, str] | None, **more: Any) -> dict[str, Any]:
        if self._session is None:
            raise Unavailable("The daemon is about to stop.")
        headers = {**_HEADERS, **(headers or {})}
        try:
            async with self._session.request(
                method, url, headers=headers, allow_redirects=False, ssl=await self._trusting(), **more
            ) as response:
                content = await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(_FAILED, reason="provider_unreachable") from error
        if 400 <= response.status < 500:
            raise Refused(response.status)
        if response.status != 200:
            raise Unavailable(_FAILED, reason="provider_unreachable")
        return _parse(content)


class Refused(Exception):
    """The other side answered with a 4xx; what that means is for the caller to say."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises ValueError when it is longer than any answer that makes sense."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            raise ValueError("the answer is too long")
    return bytes(content)


def _parse(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unavailable(_FAILED, reason="provider_unreachable") from error
    if not isinstance(answer, dict):
        raise Unavailable(_FAILED, reason="provider_unreachable")
    return answer


class Trouble(StrEnum):
    """Why a call to a device came to nothing."""

    TIMEOUT = "timeout"
    """It did not connect or answer in time."""
    UNREACHABLE = "unreachable"
    """Refused, unroutable, or no such name."""
    BROKEN = "broken"
    """The answer broke off, or is none."""


class CallFailed(Exception):
    """A call to a device came to nothing."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


class DeviceAnswer:
    """What a device answers, as it comes in."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        """The status code; redirects are not followed."""
        return self._response.status

    async def read(self) -> bytes:
        """The whole body. Raises CallFailed when it is longer than 64 KiB or breaks off."""
        with _as_trouble():
            return await _read(self._response)

    async def lines(self) -> AsyncIterator[bytes]:
        """The body line by line, without the ends. Raises CallFailed for a line over 64 KiB, and when it breaks off."""
        rest = b""
        with _as_trouble():
            async for chunk in self._response.content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if len(line) > LARGEST_ANSWER_BYTES:
                        raise CallFailed(Trouble.BROKEN)
                    yield line
                if len(rest) > LARGEST_ANSWER_BYTES:
                    raise CallFailed(Trouble.BROKEN)
        if rest:
            yield rest


class DeviceCalls:
    """An HTTP client for addresses on the LAN: no redirects, cookies, proxies or names; 5 s to connect.

    `connect_s` and `silence_s` are how long it waits for a connection, and for more of an answer.
    """

    def __init__(self, *, connect_s: float = CONNECT_LIMIT_S, silence_s: float = PROGRESS_LIMIT_S) -> None:
        self._connect_s = connect_s
        self._silence_s = silence_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, use_dns_cache=False),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def resolve(self, name: str) -> list[str]:
        """The IP addresses of a name, or the one that it is. Raises CallFailed."""
        loop = asyncio.get_running_loop()
        with _as_trouble():
            async with asyncio.timeout(self._connect_s):
                try:
                    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
                except (OSError, UnicodeError, ValueError) as error:
                    raise CallFailed(Trouble.UNREACHABLE) from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    @contextlib.asynccontextmanager
    async def get(
        self, ip: str, port: int, target: str, *, host: str, bearer: str | None, is_patient: bool = False
    ) -> AsyncIterator[DeviceAnswer]:
        """The answer to GET of `target` (path and query, encoded) at an IP address, for the length of the block.

        `host` is the name to send. With `is_patient` the caller watches over progress by itself. Raises CallFailed.
        """
        if self._session is None:
            raise CallFailed(Trouble.UNREACHABLE)
        silence_s = None if is_patient else self._silence_s
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._connect_s, sock_read=silence_s, ceil_threshold=60
        )
        headers = {"Accept-Encoding": "identity", "User-Agent": "pixlsrve", "Host": _authority(host, port)}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        url = URL(f"http://{_authority(ip, port)}{target}", encoded=True)
        with _as_trouble():
            response = await self._session.get(url, headers=headers, allow_redirects=False, timeout=timeout)
        try:
            yield DeviceAnswer(response)
        finally:
            # A body that was not read to its end takes its connection with it.
            response.release() if response.content.at_eof() else response.close()


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.contextmanager
def _as_trouble() -> Iterator[None]:
    """What the client and the system say, as one of three troubles."""
    try:
        yield
    except TimeoutError as error:  # the framework's time-outs are of this kind too
        raise CallFailed(Trouble.TIMEOUT) from error
    except aiohttp.ClientConnectorError as error:
        late = error.os_error.errno == errno.ETIMEDOUT
        raise CallFailed(Trouble.TIMEOUT if late else Trouble.UNREACHABLE) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise CallFailed(Trouble.BROKEN) from error
