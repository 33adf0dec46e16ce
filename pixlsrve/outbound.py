"""Calls to the internet that the owner asked for: short, small, to the named place only (THREATS T24)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from pixlsrve.errors import Unavailable

CONNECT_LIMIT_S = 5.0
SILENCE_LIMIT_S = 10.0
TOTAL_LIMIT_S = 20.0
LARGEST_ANSWER_BYTES = 64 * 1024
_FAILED = "The login provider can't be reached just now; try again in a moment."
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pixlsrve"}


class Outbound:
    """An HTTP client that follows no redirects, keeps no cookies, heeds no proxy variables and reads 64 KiB at most."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

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

    async def _call(self, method: str, url: str, headers: Mapping[str, str] | None, **more: Any) -> dict[str, Any]:
        if self._session is None:
            raise Unavailable("The daemon is about to stop.")
        try:
            async with self._session.request(
                method, url, headers={**_HEADERS, **(headers or {})}, allow_redirects=False, **more
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
    """The whole body. Raises Unavailable when it is longer than any answer that makes sense."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            raise Unavailable(_FAILED, reason="provider_unreachable")
    return bytes(content)


def _parse(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unavailable(_FAILED, reason="provider_unreachable") from error
    if not isinstance(answer, dict):
        raise Unavailable(_FAILED, reason="provider_unreachable")
    return answer
