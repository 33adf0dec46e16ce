"""Routers that mean harm, somebody who plays router, and routers that say odd things (THREATS T24)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mdns.lan import Lines
from tests.wg import town
from tests.wg.router_kit import HOST, Place, place_in
from tests.wg.strange_router import ELSEWHERE

town.require()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home whose router runs nothing yet, and somebody else on its LAN."""
    with place_in(tmp_path) as made:
        yield made


def start(place: Place, namespace: str, kind: str, address: str, outer: str = "81.2.69.10") -> Lines:
    """A strange router in a namespace, answering; what it writes."""
    command = (sys.executable, "-m", "tests.wg.strange_router", kind, address, outer)
    lines = Lines(place.lan.start(namespace, *command).stdout)
    lines.wait(lambda line: line == "ready\n")
    return lines


@pytest.mark.parametrize("kind", ["huge", "redirect", "elsewhere", "control", "bomb", "deep", "many", "garbage"])
def test_harm_is_bounded_and_leads_nowhere_else(place: Place, kind: str) -> None:
    """T24: endless and malformed answers are given up soon; redirects and addresses of others are never followed."""
    other = place.lan.host("other", f"{ELSEWHERE}/24")
    elsewhere = start(place, other, "silent", ELSEWHERE)
    router = start(place, place.router.namespace, kind, place.router.inner)
    asking = place.ask()
    found = asking.state(settled=True)
    assert found["trouble"] == "no_answer"
    assert "Traceback" not in "".join(asking.lines.so_far())
    resident = Path(f"/proc/{asking.process.pid}/statm").read_text("ascii").split()[1]
    assert int(resident) * 4_096 < 150_000_000
    requests = [line for line in router.so_far() if line.startswith(("GET", "POST"))]
    assert bool(requests) == (kind != "elsewhere")
    assert len(requests) < 40 * (1 + len([line for line in asking.lines.seen if "settled" in line]))
    assert [line for line in elsewhere.so_far() if line.startswith(("GET", "POST"))] == []
    assert asking.stop() == 0


def test_somebody_else_is_not_believed(place: Place) -> None:
    """T24: another computer that answers the search as if it were the router is neither asked nor believed."""
    other = place.lan.host("other", f"{ELSEWHERE}/24")
    impostor = start(place, other, "odd", ELSEWHERE)
    asking = place.ask()
    assert asking.state(settled=True)["trouble"] == "no_answer"
    assert [line for line in impostor.so_far() if line.startswith(("GET", "POST"))] == []
    place.router.serve()
    assert asking.state(port=51_820)["router"] == place.router.inner
    assert place.router.mapped() == {51_820: f"{HOST}:51820"}
    assert asking.stop() == 0


@pytest.mark.parametrize("outer", ["100.64.3.4", "10.0.0.5", "", "nonsense"])
def test_router_that_tells_what_is_outside(place: Place, outer: str) -> None:
    """Carrier NAT and a second router, told by a router that maps all the same; and one that is offline."""
    start(place, place.router.namespace, "odd", place.router.inner, outer)
    asking = place.ask()
    found = asking.state(port=51_820)
    assert found["outer"] == (outer if outer[:3] in ("100", "10.") else None)
    assert found["protocol"] == "upnp"
    assert asking.stop() == 0
