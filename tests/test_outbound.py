"""Calls to the internet: short, small, to the named place only (THREATS T24)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from pixlsrve.errors import Unavailable
from pixlsrve.outbound import LARGEST_ANSWER_BYTES, Outbound, Refused
from tests.daemon import free_port


async def answer(request: web.Request) -> web.StreamResponse:
    """What the path says."""
    match request.match_info["how"]:
        case "echo":
            return web.json_response({"cookies": dict(request.cookies), "path": request.path_qs})
        case "cookie":
            response = web.json_response({})
            response.set_cookie("tracked", "yes")
            return response
        case "redirect":
            raise web.HTTPFound("/echo")
        case "large":
            return web.Response(body=b'{"a":"' + b"a" * LARGEST_ANSWER_BYTES + b'"}')
        case "bomb":
            response = web.json_response({"a": "a" * 10_000_000})
            response.enable_compression(web.ContentCoding.gzip)
            return response
        case "deep":
            return web.Response(body=b"[" * 60_000)
        case "list":
            return web.json_response([])
        case "text":
            return web.Response(text="<html>")
        case status:
            return web.json_response({}, status=int(status))


@pytest.fixture
async def base() -> AsyncIterator[str]:
    """A server with every kind of answer."""
    app = web.Application()
    app.router.add_route("*", "/{how}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize("how", ["redirect", "large", "bomb", "deep", "list", "text", "500", "503", "204", "301"])
async def test_strange_answers(base: str, how: str) -> None:
    """Redirects, floods, and what is no JSON object, are as if the other side were not there."""
    async with Outbound() as outbound:
        with pytest.raises(Unavailable) as error:
            await outbound.get(f"{base}/{how}")
    assert error.value.reason == "provider_unreachable"
    assert base not in error.value.message


async def test_flood_from_a_device(base: str) -> None:
    """A device of the household that says too much is not taken for a login provider."""
    async with Outbound() as outbound:
        with pytest.raises(Unavailable) as error:
            await outbound.exchange("GET", f"{base}/large", headers={})
    assert error.value.reason == "device_unreachable"


async def test_refusals(base: str) -> None:
    """A 4xx is told apart, since it says something about what was sent."""
    async with Outbound() as outbound:
        with pytest.raises(Refused) as error:
            await outbound.post(f"{base}/400", {"a": "b"})
    assert error.value.status == 400


async def test_nobody_there() -> None:
    """A closed port, a name that is none and a bad address are the same to whoever asks."""
    async with Outbound() as outbound:
        for url in (f"http://127.0.0.1:{free_port()}/", "http://127.0.0.1:1/", "https://", "http://[::", "gopher://x/"):
            with pytest.raises(Unavailable):
                await outbound.get(url)


async def test_no_proxy_and_no_cookies(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables are not heeded, and cookies not kept."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    async with Outbound() as outbound:
        await outbound.get(f"{base}/cookie")
        assert await outbound.get(f"{base}/echo", query={"q": "1"}) == {"cookies": {}, "path": "/echo?q=1"}


async def test_closed() -> None:
    """After the end nothing is called."""
    with pytest.raises(Unavailable):
        await Outbound().get("http://127.0.0.1:1/")
