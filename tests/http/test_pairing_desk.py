"""Windows that a command opens over the control socket: who is asked, and what is told."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from pixlsrve.auth.pairing import Applicant, Paired
from pixlsrve.errors import NotPermitted, PixlsrveError
from pixlsrve.http import failures
from pixlsrve.http.identity import JoinLinks
from pixlsrve.http.pairing_desk import SILENCE_S, PairingDesk
from pixlsrve.http.routing import Handler
from tests.auth.kit import HOST_ID, Kit, open_kit

OLD_PHONE = Applicant(name="Old phone", type="ios", address="192.0.2.7")


class Command:
    """What a waiting `pixlsrve pair` asks of the daemon."""

    def __init__(self, client: TestClient[web.Request, web.Application], kit: Kit) -> None:
        self._client = client
        self.kit = kit
        self.path = ""

    async def open(self, **wishes: Any) -> dict[str, Any]:
        """Open a window; this command is about it from then on."""
        answer = await self.call("POST", "/pairing-windows", {"asks": True, **wishes})
        self.path = f"/pairing-windows/{answer['id']}"
        return answer

    async def news(self) -> dict[str, Any]:
        """How the window stands."""
        return await self.call("GET", self.path)

    async def asked(self) -> dict[str, Any]:
        """The next question."""
        while True:
            news = await self.news()
            if news["question"] is not None:
                return dict(news["question"])

    async def answer(self, question: int, accept: bool) -> bool:
        """Answer a question; whether that was in time."""
        answer = await self.call("POST", f"{self.path}/answer", {"question": question, "accept": accept})
        return bool(answer["in_time"])

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer, or the error."""
        async with self._client.request(method, path, json=body) as response:
            return dict(await response.json())


@pytest.fixture
async def command(tmp_path: Path) -> AsyncIterator[Command]:
    """A command and the desk it talks to."""

    @web.middleware
    async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except PixlsrveError as error:
            return failures.respond(failures.from_error(error), "/api/v1")

    async with open_kit(tmp_path) as kit:
        links = JoinLinks("192.0.2.1", HOST_ID)
        links.port = 8080
        identity = dataclasses.replace(kit.identity, pairing=kit.windows)
        desk = PairingDesk(identity, links, clock=kit.time.monotonic)
        app = web.Application(middlewares=[explain])
        for method, path, handler in desk.handlers():
            app.router.add_route(method, path, handler)
        async with TestClient(TestServer(app)) as client:
            yield Command(client, kit)
        await desk.close()


def _apply(command: Command, applicant: Applicant = OLD_PHONE) -> asyncio.Task[Paired]:
    return asyncio.create_task(command.kit.windows.pair(applicant, None))


async def test_offer_has_what_the_command_shows(command: Command) -> None:
    """The address names the host and the long code; the short code and the time stand beside it."""
    offer = await command.open(timeout_s=60)
    assert offer["url"].startswith("http://192.0.2.1:8080/pair#c=")
    assert offer["url"].endswith(f"&h={HOST_ID}")
    assert (offer["host_id"], offer["expires_in"], len(offer["code"])) == (HOST_ID, 60, 8)
    command.kit.time.pass_s(20)
    assert (await command.news())["expires_in"] == 40


async def test_answer_belongs_to_its_question(command: Command) -> None:
    """T1: only a yes to the question that is open lets somebody in; one to an earlier question is nothing."""
    await command.open()
    first = _apply(command)
    question = await command.asked()
    assert (question["device_name"], question["device_type"], question["address"]) == ("Old phone", "ios", "192.0.2.7")
    assert await command.answer(question["question"], False)
    with pytest.raises(NotPermitted):
        await first
    second = _apply(command)
    again = await command.asked()
    assert not await command.answer(question["question"], True)
    assert not second.done()
    assert await command.answer(again["question"], True)
    device = (await second).device
    news = await command.news()
    assert (news["state"], news["device"]["device_id"], news["device"]["number"]) == ("paired", device.uuid, device.id)


async def test_silent_terminal_is_not_asked(command: Command) -> None:
    """T1: a terminal that was suspended or killed says no to whoever comes without code; the code goes on working."""
    offer = await command.open()
    command.kit.time.pass_s(SILENCE_S + 1)
    with pytest.raises(NotPermitted):
        await command.kit.windows.pair(OLD_PHONE, None)
    await command.kit.windows.pair(OLD_PHONE, offer["code"])


async def test_question_ends_with_whoever_asked(command: Command) -> None:
    """Nobody is asked about a device that has gone away."""
    is_there = True
    await command.open()
    application = _apply(command, Applicant(name="Old phone", type="ios", is_there=lambda: is_there))
    question = await command.asked()
    is_there = False
    assert (await command.news())["question"] is None
    assert await command.answer(question["question"], True)
    with pytest.raises(NotPermitted):
        await application
    assert command.kit.identity.devices.list_all() == []


async def test_closed_window_is_over(command: Command) -> None:
    """T1: closing the window kills its codes at once, and there is no news of it any more."""
    offer = await command.open()
    assert (await command.call("DELETE", command.path)) == {"success": True}
    with pytest.raises(NotPermitted):
        await command.kit.windows.pair(OLD_PHONE, offer["code"])
    assert (await command.news())["error"]["code"] == "NOT_FOUND"


async def test_end_is_told_to_the_command_that_comes_late(command: Command) -> None:
    """Who joined between two questions of the command is told at the next one."""
    offer = await command.open()
    paired = await command.kit.windows.pair(OLD_PHONE, offer["code"])
    news = await command.news()
    assert (news["state"], news["device"]["device_id"]) == ("paired", paired.device.uuid)


async def test_account_must_exist(command: Command) -> None:
    """A window for nobody is refused with a sentence, and no window is open then."""
    answer = await command.call("POST", "/pairing-windows", {"user": "nobody"})
    assert "user list" in answer["error"]["message"]
    with pytest.raises(NotPermitted):
        await command.kit.windows.pair(OLD_PHONE, None)
