"""The control socket's answer to whether home can be reached from outside."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from pixlsrve.doctor import reachability as doctor
from pixlsrve.http import routing
from pixlsrve.http.control import ControlRoute
from pixlsrve.wg.reachability import Reachability


class ReachDesk:
    """Answers from what the daemon knows."""

    def __init__(self, reachability: Reachability) -> None:
        self._reachability = reachability

    def handlers(self) -> list[ControlRoute]:
        """Its routes."""
        return [("GET", "/reachability", self._show)]

    async def status(self) -> dict[str, Any]:
        """The verdict in a status."""
        answer: dict[str, Any] = msgspec.to_builtins(await self.verdict())
        return answer

    async def verdict(self) -> doctor.Verdict:
        """Whether home can be reached from outside; no name is looked up for it."""
        return doctor.judge(await self._reachability.facts())

    async def _show(self, _: web.Request) -> web.Response:
        facts = await self._reachability.facts(looks_up=True)
        return routing.answer(
            {
                "verdict": msgspec.to_builtins(doctor.judge(facts)),
                "facts": msgspec.to_builtins(facts),
                "findings": [msgspec.to_builtins(finding) for finding in doctor.check(facts)],
            }
        )
