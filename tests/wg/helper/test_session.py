"""What the helper refuses to do, whoever asks (T35, T38)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from pixlsrve.wg import isolation
from pixlsrve.wg.forwarding import Forwarding
from pixlsrve.wg.helper import frames
from pixlsrve.wg.helper.session import Session
from pixlsrve.wg.interface import Backend, DesiredPeer, InterfaceSettings, PeerState, TunnelUnavailable
from pixlsrve.wg.isolation import Rules

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the helper is Linux's")
NAME, HOST = "pixltest0", "10.199.7.1/24"
KEY, OTHER = b"k" * 32, b"o" * 32


class Recorder:
    """The outer edge: an interface and rules that only remember."""

    name = "recorder"

    def __init__(self) -> None:
        self.interface = ""
        self.rules: list[Rules] = []
        self.put: list[DesiredPeer] = []
        self.lifted: list[str] = []
        self.fails = False

    async def ensure(self, settings: InterfaceSettings) -> None:
        self.interface = settings.name

    async def apply(self, *, put: Collection[DesiredPeer], remove: Collection[bytes]) -> None:
        self.put += put

    async def peers(self) -> list[PeerState]:
        return []

    async def listening_port(self) -> int:
        return 51_820

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def tear_down(self) -> None:
        self.interface = ""

    async def enforce(self, rules: Rules) -> bool:
        if self.fails:
            raise TunnelUnavailable("There are no rules.", reason="no_isolation")
        self.rules.append(rules)
        return True

    async def lift(self) -> None:
        self.lifted += [rules.interface for rules in self.rules[-1:]]
        self.rules.clear()


@pytest.fixture
def edge() -> Recorder:
    return Recorder()


@pytest.fixture
def session(edge: Recorder, tmp_path: Path) -> Session:
    async def choose() -> tuple[Backend, str]:
        return edge, "it is a test"

    return Session(choose, edge, Forwarding(tmp_path))


async def _ask(session: Session, request: frames.Request) -> Any:
    reply, sockets = await session.answer(request)  # type: ignore[arg-type]  # each test asks for what it likes
    assert sockets is None
    return reply


async def _up(session: Session) -> None:
    assert isinstance(await _ask(session, frames.Choose()), frames.Chosen)
    assert isinstance(await _ask(session, frames.Enforce(NAME, HOST, [], [])), frames.Changed)
    assert isinstance(await _ask(session, frames.Ensure(NAME, KEY, 0, HOST)), frames.Made)


async def test_no_interface_without_its_rules(session: Session, edge: Recorder) -> None:
    """T35: an interface is made only after the rules about exactly this interface and network are in force."""
    await _ask(session, frames.Choose())
    assert isinstance(await _ask(session, frames.Ensure(NAME, KEY, 0, HOST)), frames.Refused)
    await _ask(session, frames.Enforce(NAME, HOST, [], []))
    for name, address in (("pixltest1", HOST), (NAME, "10.199.8.1/24")):
        assert isinstance(await _ask(session, frames.Ensure(name, KEY, 0, address)), frames.Refused)
    assert edge.interface == ""
    assert isinstance(await _ask(session, frames.Ensure(NAME, KEY, 0, HOST)), frames.Made)


async def test_rules_stay_as_long_as_the_interface(session: Session, edge: Recorder) -> None:
    """T35: the rules are not lifted from an interface that is there, and it goes when they can't be put back."""
    await _up(session)
    assert isinstance(await _ask(session, frames.Lift()), frames.Refused)
    assert edge.rules
    edge.fails = True
    await session._keep_rules()
    assert edge.interface == ""
    assert isinstance(await _ask(session, frames.Lift()), frames.Done)
    assert not edge.rules


@pytest.mark.parametrize("name", ["lo", ".", ".."])
async def test_others_interfaces_are_not_touched(session: Session, name: str) -> None:
    """T38: an interface that is there and not ours is refused, as are names that are folders."""
    await _ask(session, frames.Choose())
    assert isinstance(await _ask(session, frames.Enforce(name, HOST, [], [])), frames.Refused)


@pytest.mark.parametrize(
    "address", ["10.199.7.2/24", "8.8.8.1/24", "127.0.0.1/8", "169.254.0.1/16", "10.0.0.1/31", "0.0.0.1/0", "x", ""]
)
async def test_only_private_networks_with_the_host_first(session: Session, address: str) -> None:
    """T35: the tunnel has a private network that fits, the host its first address; nothing else is routed into it."""
    await _ask(session, frames.Choose())
    assert isinstance(await _ask(session, frames.Enforce(NAME, address, [], [])), frames.Refused)


async def test_only_own_networks_can_be_opened(session: Session) -> None:
    """T35: a network that this computer is not in is opened to nobody, nor is an interface that it doesn't have."""
    await _ask(session, frames.Choose())
    for lan, opened in ((["0.0.0.0/0"], []), (["203.0.113.0/24"], []), ([], ["nothere0"]), (["x"], [])):
        assert isinstance(await _ask(session, frames.Enforce(NAME, HOST, lan, opened)), frames.Refused)


LAN = ["192.168.77.0/24", "192.168.78.0/24"]


@pytest.fixture
def two_lans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A computer in two networks; the folder of its switches, all of them off."""
    networks = [(f"lan{number}", IPv4Network(text)) for number, text in enumerate(LAN)]
    monkeypatch.setattr("pixlsrve.wg.helper.session.lan_networks", lambda _: networks)
    (tmp_path / "ip_forward").write_text("0")
    for name in (NAME, "lan0", "lan1"):
        (tmp_path / "conf" / name).mkdir(parents=True)
        (tmp_path / "conf" / name / "forwarding").write_text("0")
    return tmp_path / "conf"


def _open(switches: Path) -> list[str]:
    return sorted(path.parent.name for path in switches.glob("*/forwarding") if path.read_text() == "1")


async def test_no_interface_forwards_without_the_rule_against_others(
    session: Session, edge: Recorder, two_lans: Path
) -> None:
    """T35, T38: an interface forwards for the tunnel only, whatever the service leaves out of its rules."""
    await _up(session)
    await _ask(session, frames.Enforce(NAME, HOST, LAN[:1], []))
    assert edge.rules[-1].opened == ("lan0",)
    assert isinstance(await _ask(session, frames.Forward(["lan0", "lan1"], True)), frames.Refused)
    assert _open(two_lans) == []
    assert isinstance(await _ask(session, frames.Forward(["lan0"], True)), frames.Unopened)
    assert _open(two_lans) == ["lan0", NAME]
    await _ask(session, frames.Enforce(NAME, HOST, [], []))
    assert "lan0" not in _open(two_lans)


async def test_nothing_forwards_once_the_rules_can_not_stay(session: Session, edge: Recorder, two_lans: Path) -> None:
    """T35: with the tunnel that lost its rules goes the forwarding that it needed."""
    await _up(session)
    await _ask(session, frames.Enforce(NAME, HOST, LAN, []))
    await _ask(session, frames.Forward(["lan0", "lan1"], True))
    assert _open(two_lans) == ["lan0", "lan1", NAME]
    edge.fails = True
    await session._keep_rules()
    assert {"lan0", "lan1"}.isdisjoint(_open(two_lans))


async def test_rules_of_another_interface_are_not_left_behind(session: Session, edge: Recorder) -> None:
    """T38: naming one interface after the other leaves no rules about networks that are not the tunnel's."""
    await _ask(session, frames.Choose())
    await _ask(session, frames.Enforce("pixltest1", "10.199.8.1/24", [], []))
    await _ask(session, frames.Enforce(NAME, HOST, [], []))
    assert (edge.lifted, [rules.interface for rules in edge.rules]) == (["pixltest1"], [NAME])


@pytest.mark.parametrize(
    "peers",
    [
        [(KEY, "10.199.8.2")],
        [(KEY, "10.199.7.1")],
        [(KEY, "10.199.7.0")],
        [(KEY, "10.199.7.255")],
        [(KEY, "10.199.7.2/31")],
        [(KEY, "10.199.7.2"), (OTHER, "10.199.7.2")],
        [(KEY, "10.199.7.2"), (KEY, "10.199.7.3")],
    ],
)
async def test_each_phone_has_one_address_of_the_tunnel(
    session: Session, edge: Recorder, peers: list[tuple[bytes, str]]
) -> None:
    """T35: a peer's only allowed IP is one address of the tunnel's network that is nobody else's."""
    await _up(session)
    request = frames.Apply([frames.Peer(key, address) for key, address in peers], [])
    assert isinstance(await _ask(session, request), frames.Refused)
    assert not edge.put


async def test_nothing_is_done_without_an_interface(session: Session) -> None:
    """Peers, ports and switches belong to an interface that was made before."""
    for request in (frames.Apply([], []), frames.ListPeers(), frames.AskPort(), frames.Forward([], True)):
        assert isinstance(await _ask(session, request), frames.Refused)
    assert isinstance((await session.answer(frames.OpenDns()))[0], frames.Refused)


async def test_end_leaves_nothing(session: Session, edge: Recorder) -> None:
    """A service that goes takes interface and rules along."""
    await _up(session)
    await session.end()
    assert (edge.interface, edge.rules) == ("", [])


async def test_program_that_can_not_be_started_is_an_answer() -> None:
    """T35: where nft can't be started, for want of memory or processes, whoever guards the rules learns of it."""
    with pytest.raises(TunnelUnavailable, match="can't be started"):
        await isolation._run("/nowhere/nft", [], "")
