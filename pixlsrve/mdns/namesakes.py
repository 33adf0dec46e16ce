"""Other hosts that announce our instance name: hears them, asks for them, and says who keeps it (RFC 6762 §9).

The library probes before it announces, but two hosts that probe at once don't hear of each other by that, nor do hosts
whose LANs are joined later; so we listen from the first probe on, and ask again, ever more rarely, while announced.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable

from zeroconf import (  # type: ignore[attr-defined]  # the packet's parts are there, but not in __all__
    DNSOutgoing,
    DNSQuestion,
    DNSService,
    DNSText,
    RecordUpdate,
    RecordUpdateListener,
    ServiceInfo,
    Zeroconf,
)

PATIENCE_S = 10.0
"""How long a namesake that ought to give way may take to."""
FORGOTTEN_S = 30.0
"""After so long without a word from namesakes, the next one begins a new contest."""
FIRST_ASK_S = 1.0
RAREST_ASK_S = 3600.0
"""RFC 6762 §5.2: at least a second before the second question, then at least twice as long each time, up to an hour."""
_QUERY, _ANSWER = 0x0000, 0x8400
_TXT, _SRV, _IN = 16, 33, 1
"""RFC 1035, RFC 2782."""


class Verdict(enum.Enum):
    """What to do about the name."""

    KEEP = enum.auto()
    """Nobody else has been heard."""
    INSIST = enum.auto()
    """Announce it again: the other one gives way."""
    GIVE_WAY = enum.auto()
    """Take another name."""


class Contest:
    """Who keeps a name that others announce too. Pure; times are seconds of one clock, hosts are names in `.local`."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._rival = ""
        self._since_s = 0.0
        self._heard_s: float | None = None

    def heard(self, rival: str, now_s: float) -> None:
        """Another host has said that the name is its own."""
        if self._heard_s is None or now_s - self._heard_s > FORGOTTEN_S:
            self._since_s = now_s
        self._heard_s = now_s
        self._rival = max(self._rival, rival)

    def verdict(self, now_s: float) -> Verdict:
        """What follows from what was heard since the last call.

        Both sides hear of each other; the order of the hosts' names says without a word who gives way: the earlier one,
        as in RFC 6762 §8.2. Who doesn't follow that gets its way after `PATIENCE_S`.
        """
        rival, self._rival = self._rival, ""
        if not rival:
            return Verdict.KEEP
        return Verdict.GIVE_WAY if rival > self._own or now_s - self._since_s > PATIENCE_S else Verdict.INSIST


class Namesakes(RecordUpdateListener):
    """Watches over one name at a time on one responder; `tell` is called whenever a namesake is heard.

    A context manager: it listens inside, from before the first probe.
    """

    def __init__(self, zeroconf: Zeroconf, tell: Callable[[], None]) -> None:
        self._zeroconf = zeroconf
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._info: ServiceInfo | None = None
        self._contest = Contest("")
        self._pause_s = FIRST_ASK_S
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Namesakes:
        self._zeroconf.async_add_listener(self, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_asking()
        self._zeroconf.async_remove_listener(self)

    def watch(self, info: ServiceInfo) -> None:
        """Listen for the name of `info` from now on, and for no other."""
        self._info = info
        self._contest = Contest(_server(info))

    def keep_asking(self) -> None:
        """Ask who has the name in a second, and then ever more rarely; the answers go to everybody."""
        self._stop_asking()
        self._pause_s = FIRST_ASK_S
        self._timer = self._loop.call_later(self._pause_s, self._ask)

    def verdict(self) -> Verdict:
        """What follows from what was heard since the last call."""
        return self._contest.verdict(self._loop.time())

    def withdraw(self) -> None:
        """Say that the name is ours no longer, without touching what its other owner has said of it (RFC 6762 §10.1).

        Hence not the library's goodbye: it takes the name itself away, and by its cache-flush bits the other's records.
        """
        if self._info is None:
            return
        name, server = self._info.name, self._info.server or ""
        goodbye = DNSOutgoing(_ANSWER)
        goodbye.add_answer_at_time(DNSService(name, _SRV, _IN, 0, 0, 0, self._info.port or 0, server), 0)
        goodbye.add_answer_at_time(DNSText(name, _TXT, _IN, 0, self._info.text or b""), 0)
        self._zeroconf.async_send(goodbye)

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Look for our name with another host."""
        if self._info is None:
            return
        own = _server(self._info)
        for update in records:
            new = update.new
            if new.type != _SRV or new.key != self._info.key or not new.ttl:
                continue
            server = str(getattr(new, "server_key", ""))
            if server != own:
                self._contest.heard(server, self._loop.time())
                self._tell()

    def _ask(self) -> None:
        """One question, by multicast and without known answers, so that every owner speaks and hears the others."""
        if self._info is None:
            return
        question = DNSOutgoing(_QUERY)
        for kind in (_SRV, _TXT):
            question.add_question(DNSQuestion(self._info.name, kind, _IN))
        self._zeroconf.async_send(question)
        self._pause_s = min(self._pause_s * 2, RAREST_ASK_S)
        self._timer = self._loop.call_later(self._pause_s, self._ask)

    def _stop_asking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _server(info: ServiceInfo) -> str:
    """The host that announces it, as names are compared."""
    return (info.server or "").lower()
