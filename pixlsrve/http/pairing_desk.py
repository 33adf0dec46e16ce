"""Pairing at the terminal: windows that a command opens over the control socket, and questions to a person."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.auth.pairing import LONGEST_S, SHORTEST_S, Applicant, Offer
from pixlsrve.auth.service import Identity
from pixlsrve.errors import NotFound
from pixlsrve.http import routing
from pixlsrve.http.control import ControlRoute
from pixlsrve.http.identity import JoinLinks
from pixlsrve.http.inputs import BodyCheck
from pixlsrve.model import Device, Role

POLL_S = 1.0
"""How long the command's question for news waits for some; the command redraws its countdown after each."""
SILENCE_S = 10.0
"""A terminal that has not asked for that long is not there: suspended, or killed."""
KEPT_S = 60.0
"""How long a command may take to hear how its window ended."""
_GONE = "That pairing window is closed."


class WindowBody(msgspec.Struct, frozen=True):
    """Body of POST /pairing-windows; `asks` says that a person sits at a terminal, `waits` that the command stays."""

    admin: bool = False
    user: str | None = None
    timeout_s: Annotated[int, Meta(ge=SHORTEST_S, le=LONGEST_S)] = LONGEST_S
    asks: bool = False
    waits: bool = True


class AnswerBody(msgspec.Struct, frozen=True):
    """Body of POST /pairing-windows/{id}/answer."""

    question: int
    accept: bool


class _Terminal:
    """A command that waits at its window, and the question it is to put."""

    def __init__(self, lifetime_s: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.ends_s = clock() + lifetime_s
        self.joined: asyncio.Task[Device | None] | None = None
        self._heard_s = clock()
        self._number = 0
        self._told = 0
        self._applicant: Applicant | None = None
        self._verdict: asyncio.Future[bool] | None = None
        self._news = asyncio.Event()

    async def ask(self, applicant: Applicant) -> bool:
        """The person's answer; no, where the terminal is not there any more."""
        if self._clock() - self._heard_s > SILENCE_S:
            return False
        self._number += 1
        self._applicant = applicant
        self._verdict = asyncio.get_running_loop().create_future()
        self._news.set()
        try:
            return await self._verdict
        finally:
            self._applicant = self._verdict = None
            self._news.set()

    def answer(self, question: int, accept: bool) -> bool:
        """Take the person's answer; whether the question was still waiting for one."""
        self._heard_s = self._clock()
        is_due = self._verdict is not None and not self._verdict.done() and question == self._number
        if self._verdict is not None and is_due:
            self._verdict.set_result(accept)
        return is_due

    async def news(self) -> dict[str, Any]:
        """How the window stands; waits a moment for something to happen."""
        self._heard_s = self._clock()
        if self.joined is not None and not self.joined.done() and not self._is_untold():
            self._news.clear()
            waiting = asyncio.ensure_future(self._news.wait())
            try:
                await asyncio.wait({self.joined, waiting}, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
        self._told = self._number
        return self._state()

    def _is_untold(self) -> bool:
        return self._applicant is not None and self._told != self._number

    def _state(self) -> dict[str, Any]:
        if self.joined is None or not self.joined.done():
            left_s = max(0, round(self.ends_s - self._clock()))
            return {"state": "open", "expires_in": left_s, "question": self._question()}
        device = self.joined.result()
        return {"state": "over"} if device is None else {"state": "paired", "device": _device(device)}

    def _question(self) -> dict[str, Any] | None:
        if self._applicant is None or not self._applicant.is_there():
            return None
        asked = self._applicant
        return {
            "question": self._number,
            "device_name": asked.name,
            "device_type": asked.type,
            "address": asked.address,
        }


class PairingDesk:
    """The control socket's routes for pairing. Close it before the daemon ends."""

    def __init__(self, identity: Identity, links: JoinLinks, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._host_id = identity.host_id
        self._accounts = identity.accounts
        self._pairing = identity.pairing
        self._links = links
        self._clock = clock
        self._terminals: dict[str, _Terminal] = {}
        self._read_window, self._read_answer = BodyCheck(WindowBody), BodyCheck(AnswerBody)

    def handlers(self) -> list[ControlRoute]:
        """Method, path and handler of each route."""
        window = "/pairing-windows/{window_id}"
        return [
            ("POST", "/pairing-windows", self._open),
            ("GET", window, self._news),
            ("POST", f"{window}/answer", self._answer),
            ("DELETE", window, self._close),
        ]

    async def close(self) -> None:
        """Stop waiting at the windows."""
        tasks = [terminal.joined for terminal in self._terminals.values() if terminal.joined is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, request: web.Request) -> web.Response:
        body = await self._read_window(request)
        account = None if body.user is None else self._accounts.named(body.user)
        self._forget_old()
        terminal = _Terminal(body.timeout_s, self._clock)
        offer = self._pairing.open(
            role=Role.ADMIN if body.admin else Role.MEMBER,
            account=account,
            lifetime_s=body.timeout_s,
            ask=terminal.ask if body.asks and body.waits else None,
        )
        if body.waits:
            terminal.joined = asyncio.create_task(self._pairing.wait(offer.id), name="pairing window")
            self._terminals[offer.id] = terminal
        return routing.answer(self._offer(offer))

    async def _news(self, request: web.Request) -> web.Response:
        return routing.answer(await self._terminal(request).news())

    async def _answer(self, request: web.Request) -> web.Response:
        body = await self._read_answer(request)
        return routing.answer({"in_time": self._terminal(request).answer(body.question, body.accept)})

    async def _close(self, request: web.Request) -> web.Response:
        window_id = request.match_info["window_id"]
        self._pairing.close(window_id)
        self._terminals.pop(window_id, None)
        return routing.answer({"success": True})

    def _terminal(self, request: web.Request) -> _Terminal:
        """The terminal that the request is about. Raises NotFound."""
        terminal = self._terminals.get(request.match_info["window_id"])
        if terminal is None:
            raise NotFound(_GONE)
        return terminal

    def _forget_old(self) -> None:
        """Windows whose command never came back for the end."""
        until_s = self._clock() - KEPT_S
        self._terminals = {key: kept for key, kept in self._terminals.items() if kept.ends_s > until_s}

    def _offer(self, offer: Offer) -> dict[str, Any]:
        return {
            "id": offer.id,
            "url": self._links.url(offer.qr_code),
            "code": offer.typed_code,
            "host_id": self._host_id,
            "expires_in": offer.expires_in,
        }


def _device(device: Device) -> dict[str, Any]:
    """Who joined, as `pair --json` prints it and a little more."""
    return {
        "device_id": device.uuid,
        "device_name": device.name,
        "device_type": device.type,
        "number": device.id,
    }
