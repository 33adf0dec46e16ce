"""Forms that are made to keep the host busy."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from pixlsrve.errors import InvalidInput
from pixlsrve.http.uploads import bodies

BOUNDARY = "XbX"


async def _never(*_: object) -> Any:
    raise AssertionError("there is no file")


async def test_lines_before_the_first_part_end_a_form(aiohttp_client: Any) -> None:
    """T29: a form that goes on and on before its first part is refused at once and stalls nobody."""
    refused: list[int] = []

    async def handle(request: web.Request) -> web.Response:
        with pytest.raises(InvalidInput):
            await bodies.receive(request, _never)
        refused.append(request.content.total_bytes)
        return web.Response()

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/", handle)
    client = await aiohttp_client(app)
    body = b"xxxxxx\r\n" * 20_000 + f"--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    async with client.post("/", data=body, headers=headers) as response:
        assert response.status == 200
    assert refused
