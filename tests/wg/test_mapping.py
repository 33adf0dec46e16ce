"""A port mapped at a real router program (miniupnpd) in namespaces: made, kept, moved, taken over, taken back."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wg import town
from tests.wg.net import until
from tests.wg.router_kit import HOST, OUTER, Place, place_in
from tests.wg.town import INTERNET, give_default_route

town.require()
LEASE_S = 8
ONLY_UPNP, ONLY_PCP = {"enable_natpmp": "no"}, {"enable_upnp": "no"}
each_protocol = pytest.mark.parametrize("settings", [ONLY_PCP, ONLY_UPNP], ids=["pcp", "upnp"])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home with a router."""
    with place_in(tmp_path) as made:
        yield made


@each_protocol
def test_made_and_taken_back(place: Place, settings: dict[str, str]) -> None:
    """The router lets the port in, says its outer address, and forgets the port when we stop (SIGTERM)."""
    place.router.serve(**settings)
    asking = place.ask()
    found = asking.state(port=51_820)
    assert found["protocol"] == ("pcp" if settings is ONLY_PCP else "upnp")
    assert found["outer"] == OUTER
    assert found["router"] == place.router.inner
    assert place.router.mapped() == {51_820: f"{HOST}:51820"}
    assert asking.stop() == 0
    assert place.router.mapped() == {}


@each_protocol
def test_taken_over_after_kill(place: Place, settings: dict[str, str]) -> None:
    """What a killed process left is taken over by the next one, and does not keep it from the port."""
    place.router.serve(**settings)
    first = place.ask()
    first.state(port=51_820)
    first.stop(signal.SIGKILL)
    assert place.router.mapped() == {51_820: f"{HOST}:51820"}
    second = place.ask()
    assert second.state(outer=OUTER)["port"] == 51_820
    assert second.stop() == 0
    assert place.router.mapped() == {}


@each_protocol
def test_lost_mapping_is_put_back(place: Place, settings: dict[str, str]) -> None:
    """A router that restarts has forgotten the mapping; it is there again soon."""
    place.router.serve(**settings)
    asking = place.ask()
    asking.state(port=51_820)
    place.router.restart(**settings)
    until(lambda: place.router.mapped() == {51_820: f"{HOST}:51820"}, "the mapping")
    assert asking.stop() == 0


@each_protocol
def test_short_lease_is_renewed(place: Place, settings: dict[str, str]) -> None:
    """A lease is renewed at half of its life, so that it never runs out: the router still has it two lives later."""
    place.router.serve(**settings)
    asking = place.ask("--lease", str(LEASE_S), "--check", "1")
    asking.state(port=51_820)
    over_s = time.monotonic() + 2.5 * LEASE_S

    def is_mapped() -> bool:
        return place.router.mapped() == {51_820: f"{HOST}:51820"}

    def is_over() -> bool:
        until(is_mapped, "the mapping", 1)  # the router takes it away for a moment when it renews it
        return time.monotonic() > over_s

    until(is_over, "the end of two lives")
    assert asking.stop() == 0


@each_protocol
def test_port_of_another_computer_is_left_alone(place: Place, settings: dict[str, str]) -> None:
    """Another computer has the port at the router: it keeps it, and we get another one, the same one each time."""
    place.router.serve(**settings)
    other = place.lan.host("other", "192.168.7.3/24")
    give_default_route(place.lan, other, place.router.inner)
    theirs = town.Asking(place.lan, other, 51_820, "--secret", "another")
    theirs.state(port=51_820)
    ours = place.ask()
    port = ours.state(outer=OUTER)["port"]
    assert port != 51_820
    assert place.router.mapped() == {51_820: "192.168.7.3:51820", port: f"{HOST}:51820"}
    assert ours.stop() == 0
    again = place.ask()
    assert again.state(outer=OUTER)["port"] == port
    assert again.stop() == 0
    assert place.router.mapped() == {51_820: "192.168.7.3:51820"}
    assert theirs.stop() == 0


@each_protocol
def test_another_outer_address_is_noticed(place: Place, settings: dict[str, str]) -> None:
    """The provider gives the router another address: known soon."""
    place.router.serve(**settings)
    asking = place.ask()
    asking.state(outer=OUTER)
    place.router.move_to(f"{OUTER}/24", f"{INTERNET}11/24")
    place.router.restart(**settings)
    asking.state(outer=f"{INTERNET}11", port=51_820)
    assert asking.stop() == 0


def test_router_that_comes_later(place: Place) -> None:
    """A router that answers nothing is asked again; nothing was fatal meanwhile."""
    asking = place.ask()
    assert asking.state(settled=True)["trouble"] == "no_answer"
    place.router.serve()
    asking.state(port=51_820)
    assert asking.stop() == 0


def test_upnp_takes_over_from_pcp(place: Place) -> None:
    """A router that stops speaking one protocol is asked by the other."""
    place.router.serve(**ONLY_PCP)
    asking = place.ask()
    asking.state(protocol="pcp")
    place.router.restart(**ONLY_UPNP)
    asking.state(protocol="upnp", port=51_820)
    assert asking.stop() == 0


def test_no_router(place: Place) -> None:
    """Without a default route nobody is asked; with one, the router is."""
    place.router.serve()
    place.lan.ip(place.host, "route", "delete", "default")
    asking = place.ask()
    assert asking.state(settled=True)["trouble"] == "no_router"
    give_default_route(place.lan, place.host, place.router.inner)
    asking.state(port=51_820)
    place.lan.ip(place.host, "route", "delete", "default")
    assert asking.state(trouble="no_router")["port"] is None
    assert asking.stop() == 0


@pytest.mark.parametrize("outer", ["100.64.3.4", "10.0.0.5"])
@each_protocol
def test_router_that_is_not_on_the_internet(tmp_path: Path, outer: str, settings: dict[str, str]) -> None:
    """Carrier NAT and a second router: miniupnpd refuses then and hides its address, and that is understood."""
    with place_in(tmp_path, f"{outer}/24") as place:
        place.router.serve(**settings)
        asking = place.ask()
        assert asking.state(settled=True)["trouble"] == "no_outer"
        assert asking.stop() == 0


def test_restricted_router_says_why(place: Place) -> None:
    """A router whose rules forbid the port: the reason is kept."""
    place.router.serve(deny="1024-65535 192.168.7.2/32 1024-65535", **ONLY_UPNP)
    asking = place.ask()
    found = asking.state(settled=True)
    assert found["trouble"] == "refused"
    assert found["detail"]
    assert asking.stop() == 0
